"""Surprise, frame by frame, against predictions in NumPy; what is usual, against a plain loop; a splice is unusual."""

import shutil

import lstm_oracle
import numpy as np
import pytest
from live_building import CLASSES, call, frames_of

from videorep.config import FinetuneConfig
from videorep.data import write_shards
from videorep.data.shards.records import Percept
from videorep.errors import ConfigError, RunError, VideorepWarning
from videorep.live import LiveClassifier, LiveSurprise, usual
from videorep.live.live_runs import LiveRuns
from videorep.live.perception import open_runs
from videorep.live.surprise import PredictionErrors
from videorep.live.usual import open_surprise
from videorep.models import build_model
from videorep.runs import load_run

FEATURES, INPUT, FUTURE = 4, 6, 3


def make_model(conditional, units, output, standardise=False):
    """A model whose every weight, the peepholes too, differs from 0 and from the others."""
    model = build_model("composite", FEATURES, units, INPUT, FUTURE, conditional, output, 0, standardise=standardise)
    generator = np.random.default_rng(1)
    model.set_weights([generator.uniform(0.1, 0.9, weight.shape) * generator.choice([-1, 1], weight.shape)
                       if "standard" not in str(weight.path) else generator.uniform(0.5, 2, weight.shape)
                       for weight in model.weights])  # fmt: skip
    return model


def weights_of(layer):
    kernel, *others = layer.get_weights() if layer.use_inputs else (None, *layer.get_weights())
    return lstm_oracle.Weights(kernel, *(each.astype("float64") for each in others))


def oracle(model, frames, ahead):
    """(T,) errors of the last frame of each decoded prefix, in NumPy."""
    if model.standardisation:
        mean, deviation = (each.numpy().astype("float64") for each in model.standardisation.weights)
        frames = (frames - mean) / deviation
    decoder, bernoulli = model.decoders["future"], model.config.output == "bernoulli"
    kernels = [each.numpy().astype("float64") for each in (decoder.output_kernel, decoder.output_bias)]
    weights = lstm_oracle.DecoderWeights([weights_of(layer) for layer in decoder.lstms], *kernels)
    errors = np.full(len(frames), np.nan)
    for t in range(ahead, len(frames)):
        states, _ = lstm_oracle.encode([weights_of(layer) for layer in model.encoder], frames[None, : t - ahead + 1])
        made = lstm_oracle.decode(weights, states, ahead, decoder.conditional, logistic=bernoulli)[0, -1]
        if bernoulli:
            p = lstm_oracle.sigmoid(made)
            errors[t] = -np.sum(frames[t] * np.log(p) + (1 - frames[t]) * np.log(1 - p))
        else:
            errors[t] = np.sum((frames[t] - made) ** 2) / 2
    return errors


@pytest.mark.parametrize(
    ("conditional", "units", "output", "standardise", "ahead"),
    [
        ((), (5,), "gaussian", False, FUTURE),
        ((), (5, 4), "gaussian", True, FUTURE),
        (("future",), (5,), "gaussian", True, 2),
        (("future",), (5, 4), "gaussian", False, FUTURE),
        ((), (5,), "bernoulli", False, 1),
        (("future",), (5, 4), "bernoulli", False, FUTURE),
    ],
)
def test_a_stream_equals_the_prefixes_of_the_whole_sequence(conditional, units, output, standardise, ahead):
    model = make_model(conditional, units, output, standardise)
    sequences = np.random.default_rng(2).uniform(size=(2, 20, FEATURES)).astype(np.float32)
    expected = np.stack([oracle(model, sequence.astype(np.float64), ahead) for sequence in sequences], axis=1)
    errors = PredictionErrors(model, ahead)
    for _ in range(2):
        errors.reset(2)
        made = np.stack([errors.step(frames) for frames in sequences.swapaxes(0, 1)])
        np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-5)
    assert np.isnan(expected[:ahead]).all() and np.ptp(expected[ahead:], axis=0).min() > 0.01


def test_every_frame_costs_the_same():
    errors, features = PredictionErrors(make_model(("future",), (5, 4), "gaussian"), 2), np.ones((1, FEATURES))
    for _ in range(100):
        errors.step(features)
    assert errors._step.experimental_get_tracing_count() == 1 and len(errors._made) == 2


def scene(generator, frames):
    """A percept that circles slowly around a place of its own."""
    phase = generator.uniform(0, 7) + np.arange(frames)[:, None] / 4 + np.arange(FEATURES)
    return (generator.normal(size=FEATURES) + np.sin(phase) / 2 + generator.normal(0, 0.05, phase.shape)).astype("f4")


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    """A folder: shards with a validation split, a run trained on them."""
    folder, generator = tmp_path_factory.mktemp("predictor"), np.random.default_rng(0)
    lengths = {"train": [30] * 40, "validation": [20, 3, 26, 11, 14, 2, 18]}
    splits = {
        split: [Percept(scene(generator, n), f"{split}{k}", frame_rate=25.0) for k, n in enumerate(frames)]
        for split, frames in lengths.items()
    }
    write_shards(splits, folder / "percepts", labels=[])
    call("pretrain", folder / "percepts", "--out", folder / "run", "--model", "future_predictor", "--units", "24",
         "--layers", "1", "--input-frames", INPUT, "--future-frames", FUTURE, "--steps", "300", "--optimizer", "adam",
         "--learning-rate", "0.01", "--batch-size", "32")  # fmt: skip
    return folder, [record.array.astype(np.float32) for record in splits["validation"]]


@pytest.fixture
def folder(predictor, tmp_path):
    """A copy, to be changed; its run names the shards of the original."""
    return shutil.copytree(predictor[0], tmp_path / "copy")


@pytest.mark.parametrize("ahead", [None, 1])
def test_the_usual_is_that_of_a_plain_loop(predictor, folder, monkeypatch, ahead):
    monkeypatch.setattr(usual, "AT_ONCE", 3)
    monkeypatch.setattr(usual, "LONGEST", 15)
    run = load_run(folder / "run")
    model, errors = run.model(), []
    for sequence in predictor[1]:
        for t in range(ahead or FUTURE, min(len(sequence), 15)):
            made = model.decoders["future"](model.encode(sequence[None, : t - (ahead or FUTURE) + 1]))
            errors.append(np.sum((made[0, (ahead or FUTURE) - 1] - sequence[t]) ** 2) / 2)
    median = np.median(errors)
    surprise, [_, _, sequence, *_] = open_surprise(run, ahead), predictor[1]
    expected = oracle(model, sequence.astype(np.float64), ahead or FUTURE) - median
    expected /= 1.4826 * np.median(abs(np.array(errors) - median))
    np.testing.assert_allclose(surprise.measure(sequence), expected, rtol=1e-3, atol=1e-4)
    stored = usual._read_stored(run, usual.hash_file(run.model_path))
    assert [(each["split"], each["frames"]) for each in stored.values()] == [("validation", len(errors))]


def test_what_is_usual_is_kept_until_the_model_changes(folder, monkeypatch):
    run = load_run(folder / "run")
    first = [open_surprise(run, ahead).measure(np.ones((9, FEATURES))) for ahead in (1, 2)]
    monkeypatch.setattr(usual, "_measure", lambda *_: pytest.fail("measured again"))
    for ahead, surprises in enumerate(first, 1):
        again = open_surprise(run, ahead).measure(np.ones((9, FEATURES)))
        np.testing.assert_allclose(again, surprises, rtol=1e-4, atol=1e-5)
    measured = []
    monkeypatch.setattr(usual, "_measure", lambda *_: measured.append(1) or {"median": 2.0, "deviation": 1.0})
    whole = (run.path / "surprise.json").read_text()
    for text in ("", "[]", whole.replace('"median": ', '"median": -'), whole.replace("usual", "x"), "NaN"):
        (run.path / "surprise.json").write_text(text)
        open_surprise(run, 1)
    assert len(measured) == 5
    run.save_model(build_model("future_predictor", FEATURES, 24, INPUT, FUTURE, output="gaussian", seed=3))
    open_surprise(run, 1)
    assert len(measured) == 6


def test_without_its_shards_a_run_says_what_to_do(predictor, folder):
    run, shards = load_run(folder / "run"), predictor[0] / "percepts"
    shards.rename(shards.with_name("away"))
    try:
        with pytest.raises(RunError, match=r"bring them back to .*surprise\.json"):
            open_surprise(run)
        shutil.copytree(folder / "percepts", shards)
        write_shards([{"frames": np.zeros((9, FEATURES), "f4")}], shards.with_name("others"))
        shutil.rmtree(shards)
        shards.with_name("others").rename(shards)
        with pytest.raises(RunError, match="other shards"):
            open_surprise(run)
    finally:
        shutil.rmtree(shards)
        shards.with_name("away").rename(shards)
    with pytest.raises(ConfigError, match="ahead"):
        open_surprise(run, FUTURE + 1)


def test_a_splice_is_unusual(predictor, folder):
    surprise, generator = open_surprise(load_run(folder / "run")), np.random.default_rng(5)
    spliced = [surprise.measure(np.concatenate([scene(generator, 30), scene(generator, 30)])) for _ in range(10)]
    at_splice, before = np.mean(spliced, axis=0)[30 : 30 + FUTURE], np.mean(spliced, axis=0)[15:30]
    assert at_splice.min() > 3 > 1 > before.max()


@pytest.mark.filterwarnings("ignore::videorep.errors.VideorepWarning")
def test_frames_are_seen_as_clips_are_and_share_a_convnet_with_classifiers(live_chain, tmp_path):
    runs = [load_run(shutil.copytree(live_chain / name, tmp_path / name)) for name in ("pretrained", "rgb")]
    live, frames = LiveRuns(runs), frames_of(14)
    moments = [live.step(frame) for frame in frames]
    [(perception, _)] = open_runs(runs[1:])
    model, features = runs[0].model(), np.stack([perception.follow(frame) for frame in frames])
    surprise = open_surprise(runs[0])
    expected = (oracle(model, features.astype(np.float64), 10) - surprise._median) / surprise._deviation
    assert [each for _, each in moments[:10]] == [None] * 10
    np.testing.assert_allclose([each for _, each in moments[10:]], expected[10:], rtol=1e-3, atol=1e-4)
    alone, classifier = LiveSurprise(runs[:1]), LiveClassifier(runs[1:])
    for frame, (probabilities, value) in zip(frames, moments, strict=True):
        assert alone.step(frame) == (value if value is None else pytest.approx(value, abs=1e-6))
        np.testing.assert_allclose(classifier.step(frame), probabilities, atol=1e-6)
    assert len(live.views) == 1 and (live.classes, alone.classes) == (CLASSES, ())
    live.reset()
    assert live.step(frames[0])[1] is None
    with pytest.raises(RunError, match="a pretrain run on percepts"):
        LiveRuns(runs, kinds=(FinetuneConfig,))


def test_clips_that_the_run_knows_are_told(live_chain, tmp_path):
    run = load_run(shutil.copytree(live_chain / "pretrained", tmp_path / "run"))
    with pytest.warns(VideorepWarning, match="no split 'validation'"):
        open_surprise(run)
    call("pretrain", live_chain / "percepts", "--out", run.path, "--overwrite", "--model", "autoencoder", "--units",
         "3", "--layers", "1", "--steps", "1", "--batch-size", "2")  # fmt: skip
    assert not (run.path / "surprise.json").exists()
    with pytest.raises(RunError, match="holds an autoencoder"):
        open_surprise(load_run(run.path))
