"""`videorep reproduce prediction`: the models of table 2 from several seeds, scored on the same sequences, drawn."""

import json
from pathlib import Path

from videorep.config_values import read_json, to_dict
from videorep.data.batches.sources import open_source
from videorep.errors import OutputError
from videorep.evaluation import evaluate_future_prediction
from videorep.locking import alone_in
from videorep.reproduction.prediction_pictures import draw_pictures
from videorep.reproduction.prediction_tables import find_copied, find_orders, make_tables
from videorep.reproduction.stages import Stages
from videorep.runs import load_run
from videorep.storage import require_apart, require_local, write_text_durably
from videorep.training.pretrain import pretrain
from videorep.training.provenance import versions

SCORES = "scores.json"
EXPLANATION = (
    "Figures of a frame, of {sequences:,} test sequences, each model fed with its own output: the mean over "
    "the seeds ± their deviation, then each seed."
)


def reproduce_prediction(request, out, *, resume=False, overwrite=False, dry_run=False, progress=None):
    """Trains what the paper's table 2 is of, scores all on the same sequences, and draws what figures 5 to 10 show.

    Args:
        request: `videorep.reproduction.prediction_settings.PredictionRequest`.
        out: Folder: KIND/MODEL/seed-N with the run and KIND/MODEL/scores-N; stages.json, what is done.
        resume, overwrite: Go on where it was interrupted, or replace it.
        dry_run: Only tell the trainings, and what the first of each kind would take.
        progress: Reporter, see `videorep.progress`.
    Returns:
        dict for JSON: what `videorep.report.write_reproduction` takes. "seconds" of a stage are not those before an
        interruption.
    Raises:
        DigitError, ShardError: digits or shards do not fit; before anything is made.
        OutputError: the folder holds something else, or a reproduction of something else.
    Source: Srivastava et al. 2015, sections 3.2 and 3.4, table 2, figures 5 to 10.
    """
    scale = request.read_scale()
    sources = request.sources(scale)
    require_local(out, OutputError)
    for option, path in (("--digits", request.digits), ("--patches", request.patches)):
        require_apart(out, {option: path or ""})
    seen = {data: _describe(data, source, scale) for data, source in sources.items()}
    stages = Stages(out, {"kind": "reproduction", "settings": to_dict(scale), "data": seen})
    stages.require_free(resume, overwrite)
    if dry_run:
        return _plan(scale, sources, Path(out))
    scores, runs = {}, {}
    with alone_in(stages.folder):
        stages.begin(overwrite, progress)
        for data, source in sources.items():
            for name in scale.models:
                for seed in scale.seeds:
                    run = stages.run(f"{data}/{name}/seed-{seed}", pretrain, scale.run(data, source, name, seed))
                    scored = stages.run(f"{data}/{name}/scores-{seed}", _score, run, scale.sequences)
                    runs.setdefault(data, {}).setdefault(name, load_run(run))
                    scores.setdefault(data, {}).setdefault(name, {})[seed] = _read_scores(scored)
        pictures = draw_pictures(runs, scores, stages.folder)
    warnings = {
        f"{data}, {name}: {sentence}"
        for data, models in scores.items()
        for name, seeds in models.items()
        for sentence in next(iter(seeds.values()))["warnings"]
    }
    return {
        "title": "Prediction of frames beside the paper's",
        "explanation": EXPLANATION.format(sequences=scale.sequences),
        "command": request.command(out),
        "scale": request.scale,
        "settings": to_dict(scale),
        "seed": ", ".join(map(str, scale.seeds)),
        "versions": versions(),
        "data": {},
        "findings": find_orders(scores) + find_copied(scores),
        "tables": make_tables(scores),
        "pictures": pictures,
        "seconds": stages.done,
        "warnings": sorted(warnings),
    }


def _describe(data, source, scale):
    part = scale.part(data)
    return open_source(source, "train", part.input_frames + part.future_frames).provenance


def _plan(scale, sources, out):
    """What the first training of each kind would take, and how many there are."""
    trainings = len(scale.models) * len(scale.seeds)
    return {
        data: {"trainings": trainings}
        | pretrain(scale.run(data, source, scale.models[0], scale.seeds[0]), out / data, dry_run=True)
        for data, source in sources.items()
    }


def _score(run, sequences, folder, *, resume, overwrite, progress):
    result = evaluate_future_prediction(load_run(run), limit=sequences, progress=progress)
    folder.mkdir(parents=True, exist_ok=True)
    write_text_durably(folder / SCORES, json.dumps(result) + "\n")


def _read_scores(folder):
    return read_json(Path(folder) / SCORES, "scores", "remove its folder and go on with --resume")
