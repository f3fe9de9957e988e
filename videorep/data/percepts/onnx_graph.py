"""TensorFlow functions as graphs of ONNX."""

import logging

OPSET = 17  # of ONNX; ONNX Runtime 1.12 and later


def to_onnx(function):
    """The bytes of an ONNX file of a tf.function with a signature.

    Raises:
        ValueError: ONNX lacks one of its operations, or it is too large; says what ONNX' own check found.
    """
    import onnx
    from tf2onnx.convert import from_function

    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # it logs what it cannot convert, and goes on
    model, _ = from_function(function, function.input_signature, opset=OPSET)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ValueError(str(error)) from error
    return model.SerializeToString()
