"""Models as functional graphs, and the one place that maps names to builders."""

from collections.abc import Iterable

import keras
import numpy as np

from videorep.config import ClassifierConfig, ModelConfig, require
from videorep.errors import ConfigError
from videorep.models.classifier import Classifier
from videorep.models.encoder_decoder import EncoderDecoder

__all__ = ["Classifier", "EncoderDecoder", "build_classifier", "build_model"]


def build_model(
    name: str,
    features: int = 4096,
    units: int | Iterable[int] = (2048, 2048),
    input_frames: int = 10,
    future_frames: int = 10,
    conditional: str | Iterable[str] = (),
    output: str = "bernoulli",
    seed: int | None = None,
    dtype: str | keras.DTypePolicy | None = None,
    standardise: bool = False,
) -> EncoderDecoder:
    """Builds an encoder-decoder by name.

    Args:
        name: "autoencoder", "future_predictor" or "composite".
        features: D, values per frame.
        units: Units of every LSTM layer, bottom first; the encoder and each decoder have these layers.
        input_frames: T, frames that the encoder reads.
        future_frames: F, frames that the future decoder emits.
        conditional: Any of "reconstruction", "future": the decoders that receive the frame before.
        output: "bernoulli" (logistic, cross entropy) or "gaussian" (linear, squared loss).
        seed: Int or None, of the initial weights.
        dtype: A Keras dtype policy, such as "mixed_bfloat16"; by default Keras' global one.
        standardise: Whether the model works on features of mean 0 and deviation 1 ("gaussian" only): call
            `model.standardisation.assign(mean, deviation)` before training. Frames go in and come out as they are.
    Returns:
        A Keras model: `model({"frames": (B, T, D)})` runs free and gives a dict with "reconstruction" (B, T, D) in
        the input's time order and/or "future" (B, F, D), probabilities or values, float32.
    Raises:
        ConfigError: a value that no model can have.
    Source: Srivastava et al. 2015, section 2.
    """
    units = tuple(units) if isinstance(units, Iterable) else (units,)
    conditional = (conditional,) if isinstance(conditional, str) else tuple(conditional)
    config = ModelConfig(name, features, units, input_frames, future_frames, conditional, output, standardise)
    return EncoderDecoder(config, seed=seed, dtype=dtype)


def build_classifier(
    config: ClassifierConfig,
    encoder: EncoderDecoder | None = None,
    seed: int | None = None,
    dtype: str | keras.DTypePolicy | None = None,
) -> Classifier:
    """Builds an action classifier, its LSTM initialised from a pretrained encoder where one is given.

    `seed`, an int or None, decides the other initial weights, `dtype` is a Keras dtype policy.

    Raises:
        ConfigError: the encoder does not fit the classifier's features or units.
    """
    classifier = Classifier(config, seed=seed, dtype=dtype)
    if encoder is not None:
        _copy_encoder(encoder, classifier, config)
    return classifier


def _copy_encoder(encoder, classifier, config):
    theirs, ours = (encoder.config.features, encoder.config.units), (config.features, config.units)
    require(config.standardise == encoder.config.standardise, "standardise", "as in the encoder", config.standardise)
    if config.name != "lstm" or theirs != ours:
        raise ConfigError(
            f"expected a pretrained encoder of {ours[0]} features and units {ours[1]}, received {theirs[0]} and "
            f"{theirs[1]}; finetune on the kind of data that the encoder was pretrained on"
        )
    pairs = list(zip(encoder.encoder, classifier.lstms, strict=True))
    if config.standardise:
        pairs.append((encoder.standardisation, classifier.standardisation))
    for source, target in pairs:
        target.set_weights([np.asarray(weight) for weight in source.get_weights()])
