"""From frames to what a run's model takes: the stages of its shards, as its provenance tells them, repeated."""

import collections
import dataclasses
import itertools
import warnings
from pathlib import Path

import numpy as np

from videorep.build_config import ClipsConfig, PerceptsConfig
from videorep.config import FinetuneConfig, PretrainConfig
from videorep.config_values import from_dict
from videorep.data.percepts.backbones import load_backbone
from videorep.data.percepts.build import extract_batch
from videorep.data.percepts.engines import EXTRAS, open_engine, require_installed
from videorep.data.percepts.inputs import FrameInputs
from videorep.data.shards.images import decode_image
from videorep.data.videos.decode import resize_frame
from videorep.errors import BackboneError, ConfigError, LayerError, RunError, VideorepWarning

REPEATED = ("fps", "every", "size", "quality", "keep_partial")  # of a build of clips; pieces are not cut anew
WANTED = {
    FinetuneConfig: "a classifier that videorep finetune trained",
    PretrainConfig: "a predictor that videorep pretrain trained",
}


@dataclasses.dataclass(frozen=True)
class Stages:
    """What happens to a video before a model sees it, and the hash of the convnet's weights.

    Where `direct`, whole videos skip what only storage needs: JPEG, and percepts of fewer bits than float32.
    """

    clips: ClipsConfig
    percepts: PerceptsConfig
    weights_sha256: str
    direct: bool = False

    @property
    def dtype(self):
        """Of the percepts."""
        return "float32" if self.direct else self.percepts.dtype

    @property
    def raw(self):
        """Whether frames of whole videos reach the convnet without an image in between."""
        return self.direct or self.clips.quality is None


def open_runs(runs, backbones=(), kinds=(FinetuneConfig,), direct=False):
    """Opens what runs on percepts see through: [(perception, [run, ...]), ...], one for all that share their stages.

    Args:
        backbones: Files of convnets that have moved since the percepts were built; compared by hash.
        kinds: Of the runs: FinetuneConfig, PretrainConfig.
        direct: See `Stages`.
    Raises:
        RunError: a run is of another kind, or does not say how its data were made.
        BackboneError: no convnet with the weights of a run's percepts, or no engine for it.
    """
    members = {}
    for run in runs:
        stages = dataclasses.replace(read_stages(run, kinds), direct=direct)
        members.setdefault(dataclasses.replace(stages, percepts=_find_engine(stages.percepts)), []).append(run)
    return [(Perception(stages, find_backbone(stages, backbones)), together) for stages, together in members.items()]


def shared_classes(runs):
    """The classes of those runs that are classifiers, as the first has them; () where none is.

    A RunError where a classifier has other classes.
    """
    first, *others = [run for run in runs if isinstance(run.config, FinetuneConfig)] or [None]
    for run in others:
        if set(run.config.model.classes) != set(first.config.model.classes):
            raise RunError(
                f"expected runs with the same classes, received {first.path} and {run.path}; name runs of one dataset"
            )
    return first.config.model.classes if first else ()


def read_stages(run, kinds=(FinetuneConfig,)):
    """The stages of a run, from its provenance.json alone: its shards need not be there any more."""
    try:
        data = run.provenance["data"]
        if not isinstance(run.config, kinds) or data["kind"] != "percepts":
            raise RunError(
                f"expected {' or '.join(WANTED[kind] for kind in kinds)} on percepts, received {run.path}, a "
                f"{run.config.kind} run on {data['kind']}; name another run"
            )
        if not data["backbone"]:
            raise RunError(
                f"expected a run on percepts of a convnet that is known, received {run.path}, whose features others "
                "made: the backbone is not known, so that no video can be turned into such features; ask "
                "videorep evaluate about shards of them"
            )
        clips = {"every": None} | data["stages"]["clips"]  # where it is not asked for, it is not noted
        clips = from_dict(ClipsConfig, {name: clips[name] for name in REPEATED})
        percepts = from_dict(PerceptsConfig, {"engine": "tensorflow"} | data["stages"]["percepts"])  # once the only one
        return Stages(clips, percepts, data["backbone"]["weights_sha256"])
    except (KeyError, TypeError, ConfigError) as error:
        raise RunError(
            f"expected the provenance of {run.path} to say how its data were made of videos, received none that can "
            "be repeated; train it on percepts of what videorep build-shards clips made of videos"
        ) from error


def _find_engine(percepts):
    """The percepts' settings, with TensorFlow in place of an engine of float32 that is not installed.

    Of bfloat16 no other engine takes the place: the model would see other percepts than it learned from.
    """
    try:
        require_installed(percepts.engine)
    except BackboneError as error:
        if percepts.precision != "float32":
            raise BackboneError(
                f"expected {percepts.engine}, whose {percepts.precision} the run learned from, received an "
                f"installation without it; pip install 'videorep[{EXTRAS[percepts.engine]}]'"
            ) from error
        told = f"{str(error).partition(';')[0]}: TensorFlow computes the run's convnet, percepts differ by rounding"
        warnings.warn(told, VideorepWarning, stacklevel=3)
        return dataclasses.replace(percepts, engine="tensorflow")
    return percepts


def find_backbone(stages, backbones=()):
    """The convnet with the weights that the stages name, among those named or where it once was."""
    own, layer, flaws = stages.percepts.backbone, stages.percepts.layer, []
    for name in backbones or [own]:
        weights = stages.percepts.weights if name == own else "imagenet"
        try:
            named = (own, layer, name) if Path(name).suffix == ".h5" else (name, layer, weights)
            net = load_backbone(*named, pool=stages.percepts.pool)
            if net.description["weights_sha256"] == stages.weights_sha256:
                return net
            flaws.append(f"{name}, another convnet, of SHA-256 {net.description['weights_sha256'][:12]}...")
        except LayerError:
            flaws.append(f"{name}, another convnet, without the layer {layer}")
        except BackboneError as error:
            flaws.append(f"{name}: {str(error).partition('; ')[0]}")
    raise BackboneError(
        f"expected {Path(own).name}, the convnet of the run's percepts, whose weights have SHA-256 "
        f"{stages.weights_sha256[:12]}..., received {', and '.join(flaws)}; name its file with --backbone"
    )


class Perception:
    """The `Stages` between frames and a model's features (T, D), with the `Backbone` that they name."""

    def __init__(self, stages, net):
        self.stages, self.net = stages, net
        self._stack = stages.percepts.flow_stack if stages.percepts.stream == "flow" else 0
        self.inputs = FrameInputs(net.size, self._stack)
        self._engines = {}  # by the size of batches
        self.reset()

    def reset(self):
        """Forgets the frames before the next one."""
        self._last, self._fields = None, collections.deque(maxlen=self._stack)

    def follow(self, frame):
        """The features (D,) of the next frame (H, W, 3) uint8 RGB of a stream, or of the stack of flow that it
        completes; None without such."""
        last, self._last = self._last, self.inputs.see(resize_frame(frame, self.stages.clips.size))
        if self._stack and last is not None:
            self._fields.append(self.inputs.field(last, self._last))
        if len(self._fields) < self._stack:
            return None
        return self._extract([np.concatenate(self._fields, axis=-1) if self._stack else self._last], 1)[0]

    def extract_clip(self, images, size):
        """Features (T, D) float32 of T > 1 images of (height, width) `size`, JPEG or PNG."""
        frames = (decode_image(each, size, 3, f"frame {place}") for place, each in enumerate(images))
        return self.extract(self.inputs.of(frames))

    def extract(self, inputs):
        """Features (T, D) float32 of the T inputs of a clip, an iterable."""
        count, inputs = self.stages.percepts.batch_size, iter(inputs)
        parts = [np.zeros((0, self.net.features), np.float32)]
        while batch := list(itertools.islice(inputs, count)):
            parts.append(self._extract(batch, count))
        return np.concatenate(parts)

    def _extract(self, inputs, batch_size):
        """Features (n, D) float32, as percepts store them, of n inputs; the convnet is called with a whole batch."""
        if batch_size not in self._engines:
            made = self.stages.percepts
            self._engines[batch_size] = open_engine(self.net, batch_size, made.engine, made.precision, alone=True)
        return extract_batch(self._engines[batch_size], inputs, batch_size, self.stages.dtype).astype(np.float32)
