"""`videorep finetune`: an action classifier on labelled frames, from a pretrained encoder or from random weights."""

import dataclasses
from pathlib import Path

from videorep.config import PretrainConfig, require
from videorep.data.pipeline import labelled_blocks
from videorep.data.statistics import standardising_constants
from videorep.errors import RunError
from videorep.models import build_classifier
from videorep.runs import check_run, create_run, load_run
from videorep.training.loop import TrainingLoop
from videorep.training.objectives import classifier_objective
from videorep.training.provenance import versions


def finetune(config, out, *, repeats=1, resume=False, overwrite=False, dry_run=False, progress=None):
    """Trains a classifier and leaves a run's folder; with `repeats`, one run per random training subset.

    Args:
        config: FinetuneConfig; `features` 0 and empty `classes` are filled in from the data, and the shape of the
            encoder and the treatment of frames from the pretrained run `config.init`.
        out: Folder of the run; repeat k goes to `out/repeat-k`, with seed `seed + k`.
        repeats: Runs to make, each with its own draw of `videos_per_class` videos and its own initial weights.
        resume, overwrite: Go on with the runs that are there, or replace them.
        dry_run: Only tell what would be done.
        progress: Reporter, see `videorep.progress`.
    Returns:
        dict: where the run is and what its last report said, or {"repeats": [such dicts]}.
    Raises:
        ConfigError, DataError, ShardError: the settings or the data do not fit; nothing was written.
        RunError, OutputError: a folder cannot be used.
    Source: Srivastava et al. 2015, sections 3.2 and 3.3.
    """
    options = {"resume": resume, "overwrite": overwrite, "dry_run": dry_run, "progress": progress}
    if repeats == 1:
        return _finetune_once(config, Path(out), **options)
    require(repeats > 1, "repeats", "a whole number of at least 1", repeats)
    require(config.data.videos_per_class > 0, "videos_per_class", "given with repeats, which draw different videos", 0)
    summaries = []
    for number in range(repeats):
        training = dataclasses.replace(config.training, seed=config.training.seed + number)
        repeat = dataclasses.replace(config, training=training)
        summaries.append(_finetune_once(repeat, Path(out) / f"repeat-{number}", **options))
    return {"run": str(out), "repeats": summaries}


def _finetune_once(config, out, *, resume, overwrite, dry_run, progress):
    pretrained = _load_pretrained(config.init)
    if pretrained is not None:
        config = _like_pretrained(config, pretrained.config)
    seed, model_config = config.training.seed, config.model
    blocks = labelled_blocks(
        config.data,
        "train",
        *model_config.block,
        seed=seed,
        videos_per_class=config.data.videos_per_class,
        hashed=not dry_run,
    )
    model_config = dataclasses.replace(model_config, features=blocks.features, classes=tuple(blocks.labels))
    config = dataclasses.replace(config, model=model_config)
    encoder = None if pretrained is None else pretrained.model()
    constants = standardising_constants(blocks.statistics()) if model_config.standardise and not encoder else None
    model = build_classifier(model_config, encoder, seed=seed, dtype=config.training.precision)
    if constants is not None:
        model.standardisation.assign(*constants)
    plan = {
        "run": str(out),
        "model": model_config.name,
        "initial_weights": config.init or "random",
        "parameters": model.count_params(),
        "classes": len(model_config.classes),
        "training_videos": blocks.videos,
    }
    if dry_run:
        check_run(out, config, resume=resume, overwrite=overwrite)
        return plan
    run = create_run(out, config, resume=resume, overwrite=overwrite)
    if run.finished:
        return plan | run.last_report()
    run.write_provenance({"versions": versions(), "data": blocks.provenance})
    loop = TrainingLoop(model, classifier_objective(model), config.training, run)
    step = loop.restore()
    logs = loop.fit(blocks.training(config.training.batch_size, seed, step), progress)
    run.save_model(model)
    return plan | logs


def _load_pretrained(path):
    if not path:
        return None
    run = load_run(path)
    if not isinstance(run.config, PretrainConfig):
        raise RunError(
            f"expected --init to name a run of `videorep pretrain`, received {path}, a {run.config.kind} run"
        )
    return run


def _like_pretrained(config, pretrained):
    """The configuration with the encoder's units and the treatment of frames that the encoder was pretrained on."""
    shape = {"units": pretrained.model.units, "standardise": pretrained.model.standardise}
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, **shape),
        data=dataclasses.replace(config.data, colour=pretrained.data.colour, patch=pretrained.data.patch),
    )
