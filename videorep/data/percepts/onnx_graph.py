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
    handlers = {"Erfc": (_write_erfc, [])}
    model, _ = from_function(function, function.input_signature, opset=OPSET, custom_op_handlers=handlers)
    _keep_constants(model.graph, function.get_concrete_function(), onnx.numpy_helper.from_array)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ValueError(str(error)) from error
    return model.SerializeToString()


def _keep_constants(graph, concrete, to_array):
    """Gives their values to the tensors that layers hold, of which tf2onnx makes inputs of the graph."""
    held = {placeholder.name: tensor for tensor, placeholder in concrete.graph.captures if tensor.dtype != "resource"}
    for each in [each for each in graph.input if each.name in held]:
        graph.initializer.append(to_array(held[each.name].numpy(), each.name))
        graph.input.remove(each)


def _write_erfc(graph, node, name, _):
    """Writes erfc(x), of exact GELUs, as 1 - erf(x): tf2onnx knows erf alone."""
    node.type, one = "Erf", graph.make_const(f"{name}/one", np.ones((), np.float32))
    graph.insert_new_node_on_output("Sub", node.output[0], inputs=[one.output[0], node.output[0]])
