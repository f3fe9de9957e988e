"""`videorep pretrain`: an encoder-decoder on unlabelled frames."""

import dataclasses
import functools

from videorep.config import MOVING_MNIST, ModelConfig, require
from videorep.config_values import to_dict
from videorep.data.batches.sources import open_source
from videorep.data.shards.statistics import standardising_constants
from videorep.models import build_model
from videorep.training.feeding import ScheduledSource
from videorep.training.first_weights import frames_like, load_pretrained, start_at_mean
from videorep.training.forecast import require_memory
from videorep.training.job import Job, run_job
from videorep.training.loop import make_validation
from videorep.training.objectives import encoder_decoder_objective

VALIDATION = "validation"


def pretrain(config, out, **choices):
    """Trains an autoencoder, future predictor or composite and leaves a run's folder.

    Args:
        config: PretrainConfig; `features` 0 and `output` "auto" are filled in from the data.
        out: Folder of the run.
        choices: resume, overwrite, dry_run, progress and strategy, as for `run_job`.
    Returns:
        dict: where the run is and what its last report said.
    Raises:
        ConfigError, DataError, ShardError: the settings or the data do not fit; nothing was written.
        RunError, OutputError: the folder cannot be used.
    Source: Srivastava et al. 2015, section 2.
    """
    return run_job(prepare, config, out, **choices)


def prepare(config, hashed=True):
    """The `Job` of a PretrainConfig; its shards are compared with their hashes if `hashed`."""
    pretrained = load_pretrained(config.init)
    if pretrained:
        config = _like_pretrained(config, pretrained.config)
    feeding, frames = config.training.feeding, config.model.sequence_frames
    fits = feeding == "teacher" or config.model.conditional
    require(fits, "--feeding", "left out without --conditional, since no decoder is fed", feeding)
    source = open_source(config.data, "train", frames, hashed=hashed)
    constants = standardising_constants(source.statistics()) if config.model.standardise and not pretrained else None
    config = complete(config, source)
    _require_fit(config, pretrained)
    require_memory(config)
    model = build_model(**to_dict(config.model), seed=config.training.seed, dtype=config.training.precision)
    if pretrained:
        model.set_weights(pretrained.model().get_weights())
    if constants is not None:
        model.standardisation.assign(*constants)
    facts = {
        "model": config.model.name,
        "parameters": model.count_params(),
        "features": config.model.features,
        "initial_weights": config.init or "random",
        "recipe": config.training.recipe,
        "sequences": config.training.steps * config.training.batch_size,
    }
    at_mean = config.training.start_at_mean and not pretrained
    begin = functools.partial(start_at_mean, model, source, config.training) if at_mean else None
    objective = encoder_decoder_objective(model, feeding)
    source = ScheduledSource(source, frames, config.training.steps) if feeding == "scheduled" else source
    validation = _validation(config, model, hashed)
    return Job(config, source, model, objective, facts, validation, pretrained=pretrained, begin=begin)


def _like_pretrained(config, pretrained):
    """The configuration with the shape of the model that is trained on, and what its frames were."""
    shape, default, given = pretrained.model, to_dict(ModelConfig()), to_dict(config.model)
    differs = {name: value for name, value in given.items() if value != default[name]} if config.model != shape else {}
    require(not differs, "the model's settings", f"left out, since {config.init} decides them", differs)
    return dataclasses.replace(config, model=shape, data=frames_like(config.data, pretrained))


def _require_fit(config, pretrained):
    """Refuses other data than the model that is trained on can see, and generated sequences that it has seen."""
    if not pretrained:
        return
    expected, seed = pretrained.config.model.features, config.training.seed
    require(config.model.features == expected, "features", f"{expected}, as in {config.init}", config.model.features)
    repeated = config.data == pretrained.config.data and config.data.path == MOVING_MNIST
    unseen = not repeated or seed != pretrained.config.training.seed
    require(unseen, "--seed", f"another than that of {config.init}, whose very sequences would come again", seed)


def complete(config, source):
    """The configuration with what the data decides filled in."""
    model, output = config.model, config.model.output
    if output == "auto":
        whole = source.frame_shape and not config.data.patch
        output = "bernoulli" if whole and not model.standardise else "gaussian"
    return dataclasses.replace(config, model=dataclasses.replace(model, features=source.features, output=output))


def _validation(config, model, hashed):
    """A function that scores held-out sequences, the model fed with its own output; None where not asked for."""
    if not config.training.evaluate_every:
        return None
    source = open_source(config.data, VALIDATION, config.model.sequence_frames, hashed=hashed)
    batches = source.evaluation(config.training.batch_size, config.training.evaluation_sequences)
    return make_validation(encoder_decoder_objective(model), batches)
