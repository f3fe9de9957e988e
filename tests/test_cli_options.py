"""How options and defaults of runs become the settings that a worker receives."""

import pytest
from command_line import fails, finetune, handed_over, pretrain, words

from videorep.config import FinetuneConfig, PretrainConfig


def test_defaults_are_those_of_the_configuration():
    config, named = pretrain()
    assert config == PretrainConfig()
    assert {name: named[name] for name in ("resume", "overwrite", "dry_run")} == dict.fromkeys(
        ("resume", "overwrite", "dry_run"), False
    )
    assert finetune()[0].training == FinetuneConfig().training


def test_every_pretrain_option_arrives():
    config, named = pretrain(
        *words(
            "--model autoencoder --units 64 --layers 3 --conditional reconstruction --output gaussian --standardise"
        ),
        *words("--input-frames 5 --future-frames 6 --digits mnist --num-digits 1 --speed 0.05:0.2 --patch 32 --colour"),
        *words("--feeding scheduled"),
        *words("--steps 7 --batch-size 8 --optimizer sgd --learning-rate 0.5 --precision mixed_bfloat16 --seed 9"),
        *words("--resume --overwrite --dry-run"),
    )
    model, data, training = config.model, config.data, config.training
    assert (model.name, model.units, model.conditional, model.output) == (
        "autoencoder",
        (64, 64, 64),
        ("reconstruction",),
        "gaussian",
    )
    assert (model.input_frames, model.future_frames, model.standardise) == (5, 6, True)
    assert (data.path, data.digits, data.num_digits, data.patch, data.colour) == ("moving-mnist", "mnist", 1, 32, True)
    assert data.speed == (0.05, 0.2) and training.feeding == "scheduled"
    assert (training.steps, training.batch_size, training.optimizer, training.learning_rate) == (7, 8, "sgd", 0.5)
    assert (training.precision, training.seed) == ("mixed_bfloat16", 9)
    assert named["resume"] and named["overwrite"] and named["dry_run"]


def test_every_finetune_option_arrives():
    config, named = finetune(
        *words("--init runs/composite --model lstm --dropout 0.1 --freeze-encoder --block-frames 8"),
        *words("--block-stride 4 --loss last --videos-per-class 2 --repeats 10 --steps 3"),
    )
    assert config.init == "runs/composite" and config.data.path == "shards"
    model = config.model
    assert (model.name, model.dropout, model.freeze_encoder) == ("lstm", 0.1, True)
    assert (model.block_frames, model.block_stride, model.loss, config.data.videos_per_class) == (8, 4, "last", 2)
    assert config.training.steps == 3 and named["repeats"] == 10


def test_every_train_stream_option_arrives():
    positional, named = handed_over(
        "train-stream shards --out runs/x",
        "videorep.training.train_stream",
        "train_stream",
        *words("--stream rgb --flow-stack 3 --dropout 0.5 --steps 7 --resume"),
    )
    config, out = positional
    assert (config.data.path, out, named["resume"]) == ("shards", "runs/x", True)
    assert (config.model.stream, config.model.flow_stack, config.model.dropout) == ("rgb", 3, 0.5)
    assert config.training.steps == 7


@pytest.mark.parametrize(
    "arguments, units",
    [
        ((), (512,)),
        (("--units", 64), (64,)),
        (("--layers", 2), (512, 512)),
        (("--units", 2048, "--layers", 2), (2048, 2048)),
    ],
)
def test_units_and_layers(arguments, units):
    assert pretrain(*arguments)[0].model.units == units


def test_layers_have_a_bound():
    status, message = fails("pretrain", "moving-mnist", "--out", "runs/x", "--layers", 10**9)
    assert status == 2 and "1<=x<=100" in message


def test_what_needs_a_pretrained_encoder_and_what_cannot_have_one():
    status, message = fails("finetune", "shards", "--out", "runs/x", "--freeze-encoder")
    assert status == 2 and "--freeze-encoder" in message and "init" in message
    status, message = fails("finetune", "shards", "--out", "runs/x", "--init", "runs/y", "--model", "single-frame")
    assert status == 2 and "single-frame, which has no encoder" in message


@pytest.mark.parametrize(
    "arguments",
    [
        ("--conditional", "reconstruction,future"),
        ("--conditional", "reconstruction", "--conditional", "future"),
        ("--conditional", "reconstruction, future", "--conditional", "future"),
    ],
)
def test_conditional_is_repeated_or_separated_by_commas(arguments):
    assert pretrain(*arguments)[0].model.conditional == ("reconstruction", "future")


@pytest.mark.parametrize(
    "arguments, choices",
    [
        (("--model", "gan"), ("autoencoder", "future_predictor", "composite")),
        (("--conditional", "past"), ("reconstruction", "future")),
        (("--optimizer", "lion"), ("sgd", "rmsprop", "adam", "bounded-rmsprop")),
        (("--precision", "float8"), ("float32", "mixed_bfloat16", "mixed_float16")),
        (("--units", "many"), ("integer",)),
    ],
)
def test_unknown_value_is_bad_usage_and_names_the_choices(arguments, choices):
    status, message = fails("pretrain", "moving-mnist", "--out", "runs/x", *arguments)
    assert status == 2
    assert all(choice in message for choice in choices)


def test_value_out_of_range_is_one_sentence():
    status, message = fails("pretrain", "moving-mnist", "--out", "runs/x", "--learning-rate", "-1")
    assert status == 2
    assert message.endswith(
        "Error: expected --learning-rate to be greater than 0 and at most 3.4e+38, received -1.0; correct it\n"
    )


def test_a_value_that_cannot_be_is_told_of_the_option_that_sets_it(tmp_path):
    status, message = fails("finetune", "shards", "--out", "runs/x", "--init", "runs/y", "--model", "single-frame")
    assert status == 2 and "Error: expected --init to be empty with single-frame" in message
    path = tmp_path / "settings.toml"
    path.write_text("[training]\nmomentum = 2\nlearning_rate = 1")
    _, message = fails("pretrain", "moving-mnist", "--out", "runs/x", "--config", path)
    assert "expected momentum to be in [0, 1)" in message, "what comes of a file keeps the name that it has there"


@pytest.mark.parametrize("option", ["--units 5", "--layers 2", "--standardise"])
def test_what_init_decides_is_bad_usage_beside_it(option):
    status, message = fails("finetune", "shards", "--out", "runs/x", "--init", "runs/y", *option.split())
    assert status == 2 and "--init" in message


def test_missing_out_is_bad_usage():
    status, message = fails("pretrain", "moving-mnist")
    assert status == 2 and "--out" in message


@pytest.mark.parametrize("name", ["dataset.json", "config.json", "model.keras", "clips-train.tfrecord-00000-of-00002"])
def test_no_result_takes_the_place_of_what_others_need(tmp_path, name):
    (tmp_path / name).write_text("needed")
    status, message = fails("evaluate", "run", "--json", tmp_path / name, "--overwrite")
    assert status == 1 and message.startswith("Error: expected a name of its own for the result")
    assert (tmp_path / name).read_text() == "needed"
