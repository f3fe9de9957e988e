"""TensorFlow functions as graphs of ONNX."""

import logging

import numpy as np

OPSET = 17  # of ONNX; ONNX Runtime 1.12 and later


def to_onnx(function):
    """The bytes of an ONNX file of a tf.function with a signature.

    Raises:
        ValueError: ONNX lacks one of its operations, or it is too large; says what ONNX' own check found.
    """
    import onnx
    from tf2onnx.convert import from_function

    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # it logs what it cannot convert, and goes on
    model, _ = from_function(
        function, function.input_signature, opset=OPSET, custom_op_handlers={"Erfc": (_convert_erfc, [])}
    )
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ValueError(str(error)) from error
    return model.SerializeToString()


def _convert_erfc(graph, node, name, _):
    """erfc(x) = 1 - erf(x), of exact GELU: ONNX has erf alone."""
    (output,) = node.output
    dtype, shape = graph.get_dtype(output), graph.get_shape(output)
    one = graph.make_const(f"{name}_one", np.ones((), np.float32))
    erf = graph.make_node("Erf", node.input, shapes=[shape], dtypes=[dtype])
    graph.remove_node(name)
    graph.make_node("Sub", [one.output[0], erf.output[0]], name=name, outputs=[output], shapes=[shape], dtypes=[dtype])
