"""`videorep pretrain`: an encoder-decoder on unlabelled frames."""

import dataclasses

from videorep.config import to_dict
from videorep.data.pipeline import open_source
from videorep.data.statistics import standardising_constants
from videorep.models import build_model
from videorep.runs import check_run, create_run
from videorep.training.loop import TrainingLoop, evaluate_objective
from videorep.training.objectives import encoder_decoder_objective
from videorep.training.provenance import versions

VALIDATION = "validation"


def pretrain(config, out, *, resume=False, overwrite=False, dry_run=False, progress=None):
    """Trains an autoencoder, future predictor or composite and leaves a run's folder.

    Args:
        config: PretrainConfig; `features` 0 and `output` "auto" are filled in from the data.
        out: Folder of the run.
        resume, overwrite: Go on with the run that is there, or replace it.
        dry_run: Only tell what would be done.
        progress: Reporter, see `videorep.progress`.
    Returns:
        dict: where the run is and what its last report said.
    Raises:
        ConfigError, DataError, ShardError: the settings or the data do not fit; nothing was written.
        RunError, OutputError: the folder cannot be used.
    Source: Srivastava et al. 2015, section 2.
    """
    source = open_source(config.data, "train", config.model.sequence_frames, hashed=not dry_run)
    constants = standardising_constants(source.statistics()) if config.model.standardise else None
    config = complete(config, source)
    model = build_model(**to_dict(config.model), seed=config.training.seed, dtype=config.training.precision)
    if constants is not None:
        model.standardisation.assign(*constants)
    plan = {
        "run": str(out),
        "model": config.model.name,
        "parameters": model.count_params(),
        "features": config.model.features,
        "sequences": config.training.steps * config.training.batch_size,
    }
    if dry_run:
        check_run(out, config, resume=resume, overwrite=overwrite)
        return plan
    run = create_run(out, config, resume=resume, overwrite=overwrite)
    if run.finished:
        return plan | run.last_report()
    run.write_provenance({"versions": versions(), "data": source.provenance})
    loop = TrainingLoop(
        model,
        encoder_decoder_objective(model, config.training.feeding),
        config.training,
        run,
        evaluate=_validation(config, model),
    )
    step = loop.restore()
    logs = loop.fit(source.training(config.training.batch_size, config.training.seed, step), progress)
    run.save_model(model)
    return plan | logs


def complete(config, source):
    """The configuration with what the data decides filled in."""
    model, output = config.model, config.model.output
    if output == "auto":
        output = "bernoulli" if source.frame_shape and not model.standardise else "gaussian"
    return dataclasses.replace(config, model=dataclasses.replace(model, features=source.features, output=output))


def _validation(config, model):
    """A function that scores held-out sequences, the model fed with its own output; None where not asked for."""
    if not config.training.evaluate_every:
        return None
    source = open_source(config.data, VALIDATION, config.model.sequence_frames)
    objective = encoder_decoder_objective(model)
    batches = source.evaluation(config.training.batch_size, config.training.evaluation_sequences)
    return lambda: evaluate_objective(objective, batches)
