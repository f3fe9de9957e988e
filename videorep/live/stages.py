"""The stages that made a run's data out of videos, as its provenance tells them, to be repeated on other videos."""

import dataclasses
from pathlib import Path

from videorep.build_config import ClipsConfig, PerceptsConfig
from videorep.config import FinetuneConfig, from_dict
from videorep.data.percepts.backbones import load_backbone
from videorep.errors import BackboneError, ConfigError, RunError
from videorep.live.perception import Perception

REPEATED = ("fps", "size", "quality", "keep_partial")  # of a build of clips; it cut no other pieces than asked for


@dataclasses.dataclass(frozen=True)
class Stages:
    """What happens to a video before a run's classifier sees it.

    Args:
        clips: ClipsConfig: frames per second, size, JPEG quality.
        percepts: PerceptsConfig: the convnet and what it sees; None for a run that was trained on pixels.
        weights_sha256: Hash of the convnet's weights; "" for pixels.
        frame_shape: (H, W, C) of a frame of pixels; () for percepts.
    """

    clips: ClipsConfig
    percepts: PerceptsConfig | None
    weights_sha256: str = ""
    frame_shape: tuple = ()


@dataclasses.dataclass(frozen=True)
class Group:
    """Classifiers behind the same stages: their runs and models, in order, and the `Perception` that feeds them all."""

    perception: Perception
    runs: list
    models: list


def open_groups(runs, backbones=()):
    """Opens the classifiers of runs and the convnets in front of them, one for all runs with the same stages.

    Args:
        runs: Runs of `videorep finetune` with the same classes.
        backbones: Files of convnets that have moved since; each run takes the one whose weights are those of its
            percepts. Where none is named, the convnet is looked for where it was when the percepts were built.
    Returns:
        List of `Group`.
    Raises:
        RunError: a run is no such classifier, does not say how its data were made, or has other classes.
        BackboneError: no convnet with the weights of a run's percepts.
    """
    members = {}
    for run in runs:
        members.setdefault(read_stages(run), []).append(run)
        if set(run.config.model.classes) != set(runs[0].config.model.classes):
            raise RunError(
                f"expected runs with the same classes, received {runs[0].path} and {run.path} with others; name runs "
                "of one dataset"
            )
    groups = []
    for stages, same in members.items():
        net = None if stages.percepts is None else _find_backbone(stages, same[0], backbones)
        perception = Perception(stages, net)
        for run in same:
            _require_features(run, perception.features)
        groups.append(Group(perception, same, [run.model() for run in same]))
    return groups


def read_stages(run):
    """The `Stages` of a run, from its provenance.json alone: its shards need not be there any more.

    Raises:
        RunError: the run is no classifier of frames, or does not say how its data were made.
    """
    if not isinstance(run.config, FinetuneConfig) or run.config.data.patch:
        kind = "on patches of frames" if run.config.data.patch else f"by {run.config.kind}"
        raise RunError(
            f"expected a classifier that videorep finetune trained on percepts or whole frames, received {run.path}, "
            f"trained {kind}; name another run"
        )
    data = run.provenance.get("data")
    try:
        clips = from_dict(ClipsConfig, {name: data["stages"]["clips"][name] for name in REPEATED})
        if data["kind"] == "clips":
            return Stages(clips, None, frame_shape=tuple(data["frame_shape"]))
        return Stages(clips, from_dict(PerceptsConfig, data["stages"]["percepts"]), data["backbone"]["weights_sha256"])
    except (KeyError, TypeError, ConfigError) as error:
        raise RunError(
            f"expected the provenance of {run.path} to say how its data were made of videos, received none that can "
            "be repeated; train it on what videorep build-shards clips and percepts made of videos"
        ) from error


def _require_features(run, features):
    if run.config.model.features != features:
        raise RunError(
            f"expected {run.path} to take the {features} numbers per frame that its provenance leads to, received "
            f"{run.config.model.features}; restore its files"
        )


def _find_backbone(stages, run, backbones):
    """The convnet with the weights that the stages name, among those named or where it once was."""
    percepts, received, candidates = stages.percepts, [], backbones or [stages.percepts.backbone]
    for name in candidates:
        own, weights = percepts.backbone, percepts.weights if name == percepts.backbone else "imagenet"
        network, weights = (own, name) if Path(name).suffix == ".h5" else (name, weights)
        try:
            net = load_backbone(network, percepts.layer, weights)
        except BackboneError:
            if len(candidates) == 1:
                raise
            received.append(f"{name}, another network")
            continue
        if net.description["weights_sha256"] == stages.weights_sha256:
            return net
        received.append(f"{name} with {net.description['weights_sha256'][:12]}")
    raise BackboneError(
        f"expected the convnet of the percepts of {run.path}, {Path(percepts.backbone).name} whose weights have "
        f"SHA-256 {stages.weights_sha256[:12]}..., received {', '.join(received)}; name its file with --backbone"
    )
