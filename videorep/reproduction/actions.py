"""`videorep reproduce actions`: clips, percepts, splits, pretrained models and comparisons, stage after stage."""

import warnings
from pathlib import Path

from videorep.comparison import compare
from videorep.comparison.store import RESULT
from videorep.comparison.streams import FUTURE_FRAMES, INPUT_FRAMES
from videorep.config import DataConfig, ModelConfig, PretrainConfig
from videorep.config_values import read_json, to_dict
from videorep.data.batches.several import require_no_leak
from videorep.data.percepts.backbones import load_backbone, trained_on
from videorep.data.percepts.build import build_percepts, require_fit
from videorep.data.shards.hashes import checksum
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.manifest_schema import LEFT_OUT
from videorep.data.shards.resplit import resplit_percepts
from videorep.data.videos.build import build_clips
from videorep.errors import OutputError, VideorepWarning
from videorep.figures import draw_few_label_curve
from videorep.locking import alone_in
from videorep.reproduction.actions_settings import VARIANTS
from videorep.reproduction.actions_tables import make_curves, make_tables
from videorep.reproduction.data_sets import find_data_set
from videorep.reproduction.forecast import forecast_hours
from videorep.reproduction.published import SMALL
from videorep.reproduction.stages import Stages
from videorep.storage import require_apart, require_local
from videorep.training.pretrain import pretrain
from videorep.training.provenance import versions

OF_FLOW = ("composite",)  # what is pretrained on flow
EXPLANATION = (
    "Per cent of the test videos, {draws} draws of the labelled ones: the mean over the splits ± the deviation of the "
    "draws' means, then each split."
)


def reproduce_actions(request, out, *, resume=False, overwrite=False, dry_run=False, progress=None):
    """Measures what the paper's tables 1, 3 and 4 and its figure 12 are of, on each split, and puts its figures beside.

    Args:
        request: `videorep.reproduction.actions_settings.Request`.
        out: Folder: DATA SET/clips and percepts, DATA SET/split-N with the split's percepts, pretrained runs and
            comparison; stages.json, what is done.
        resume, overwrite: Go on where it was interrupted, or replace it.
        dry_run: Only count the videos, and tell about how long it takes.
        progress: Reporter, see `videorep.progress`.
    Returns:
        dict for JSON: what `videorep.report.write_reproduction` takes, and "curves", see
        `videorep.reproduction.actions_tables`. "seconds" of a stage are not those before an interruption.
    Raises:
        DataError, BackboneError: videos, lists or convnets do not fit; before anything is made.
        OutputError: the folder holds something else, or a reproduction of something else.
    Source: Srivastava et al. 2015, sections 3.3 to 3.5.
    """
    scale, streams = request.read_scale(), request.streams()
    _require_place(request, out)
    data_sets = [find_data_set(*each, scale) for each in request.data]
    nets = {stream: _load_net(config) for stream, config in streams.items()}
    asked = {"kind": "reproduction", "settings": to_dict(scale)}
    asked |= {"videos": {each.name: checksum(list(each.splits.items())) for each in data_sets}}
    asked |= {"backbones": {stream: net.description for stream, net in nets.items()}}
    asked |= {"unlabelled": {path: load_dataset(path).provenance["shards"] for path in request.unlabelled}}
    stages = Stages(out, asked)
    stages.require_free(resume, overwrite)
    doubts = _tell([doubt for each in data_sets for doubt in each.doubts] + _doubt_net(request, data_sets))
    if dry_run:
        counted = {each.name: each.describe() for each in data_sets}
        return counted | {"estimate": forecast_hours(data_sets, nets, scale)}
    del nets
    with alone_in(stages.folder):
        stages.begin(overwrite, progress)
        measured = {each.name: _measure(each, scale, request, stages) for each in data_sets}
    data = {each.name: _account(each, stages.folder) for each in data_sets}
    curves = make_curves(measured)
    return {
        "title": "Action recognition beside the paper's",
        "explanation": EXPLANATION.format(draws=scale.draws),
        "command": request.command(out),
        "scale": request.scale,
        "settings": to_dict(scale),
        "seed": scale.pretraining.seed,
        "versions": versions(),
        "data": data,
        "tables": make_tables(measured),
        "curves": curves,
        "pictures": _draw(curves, stages.folder),
        "seconds": stages.done,
        "warnings": doubts + _tell(_doubt_videos(data)),
    }


def _require_place(request, out):
    require_local(out, OutputError)
    folders = [("VIDEOS", videos) for _, videos, _ in request.data] + [("LISTS", lists) for *_, lists in request.data]
    for option, path in folders + [("--unlabelled", path) for path in request.unlabelled]:
        require_apart(out, {option: path})


def _load_net(config):
    stack = (config.flow_stack or trained_on(config.backbone)[1]) if config.stream == "flow" else 0
    net = load_backbone(config.backbone, config.layer, config.weights, config.pool)
    require_fit(net, config.backbone, stack)
    return net


def _doubt_net(request, data_sets):
    nets = [net for net in (request.backbone, request.flow_backbone) if net and Path(net).is_dir()]
    several = sum(len(each.splits) for each in data_sets) > 1
    return [f"{net} was trained on one split: it may have seen what others test on" for net in nets if several]


def _doubt_videos(data):
    return [
        f"{name}: {len(each['left_out'])} videos could not be read, the first {path}: {reason}"
        for name, each in data.items()
        for path, reason in list(each["left_out"].items())[:1]
    ]


def _tell(doubts):
    for doubt in doubts:
        warnings.warn(doubt, VideorepWarning, stacklevel=3)
    return doubts


def _measure(data_set, scale, request, stages):
    """{split: what its comparison found}."""
    home = data_set.name
    clips = stages.run(f"{home}/clips", _build, build_clips, data_set.videos, scale.clips())
    percepts = {
        stream: stages.run(f"{home}/{stream}", _build, build_percepts, clips, config)
        for stream, config in request.streams().items()
    }
    counts = sorted({*scale.videos_per_class, *([SMALL[home]] if home in SMALL else [])})
    found = {}
    for number, chosen in data_set.splits.items():
        place = f"{home}/split-{number}"
        own = {stream: stages.run(f"{place}/{stream}", _resplit, path, chosen) for stream, path in percepts.items()}
        require_no_leak([own["rgb"], *request.unlabelled])
        runs = [run for stream in own for run in _pretrain(place, stream, own[stream], scale, request, stages)]
        config = scale.comparison(own["rgb"], tuple(own[s] for s in own if s != "rgb"), tuple(runs), counts)
        compared = stages.run(f"{place}/comparison", compare, config)
        found[number] = read_json(Path(compared) / RESULT, "a comparison", "remove its folder and go on with --resume")
    return found


def _build(build, source, config, folder, **choices):
    build(source, folder, config, **choices)


def _resplit(percepts, chosen, folder, **choices):
    resplit_percepts(percepts, folder, chosen, **choices)


def _pretrain(place, stream, percepts, scale, request, stages):
    """The runs of a stream's pretrained models: of unlabelled percepts, once for all, or of its training side."""
    shared = stream == "rgb" and request.unlabelled
    folders = request.unlabelled if shared else (percepts,)
    for name in (name for name in scale.models if stream == "rgb" or name in OF_FLOW):
        model, conditional = VARIANTS[name]
        units = (scale.units,) * scale.layers
        shape = ModelConfig(model, 0, units, INPUT_FRAMES, FUTURE_FRAMES, conditional, standardise=True)
        config = PretrainConfig(shape, DataConfig(folders[0], also=tuple(folders[1:])), scale.pretraining)
        home = "pretrained" if shared else f"{place}/pretrained-{stream}"
        yield stages.run(f"{home}/{name}", pretrain, config)


def _draw(curves, folder):
    """The curves as pictures, {file: what it shows}."""
    pictures = {}
    for data, lines in curves.items():
        name = f"figure-12-{data}.png"
        shown = {line: {float(count): draws for count, draws in each.items()} for line, each in lines.items()}
        draw_few_label_curve(folder / name, shown)
        pictures[name] = f"Figure 12: {data}, labelled videos per class"
    return pictures


def _account(data_set, folder):
    """What is told of a data set: its videos by class, by side of each split, and those that could not be read."""
    flawed = load_dataset(folder / data_set.name / "clips").flawed()
    wanted = {path for chosen in data_set.splits.values() for path in chosen}
    unread = {each["path"]: each["reason"] for each in flawed if each["status"] == LEFT_OUT and each["path"] in wanted}
    return {"videos": data_set.videos} | data_set.describe() | {"left_out": unread}
