"""How options, --config and defaults become the settings that a worker receives."""

import dataclasses
import sys
import types

import pytest
from click.testing import CliRunner

from videorep.build_config import ClipsConfig, MovingMNISTConfig, PerceptsConfig
from videorep.cli.main import videorep_command
from videorep.config import FinetuneConfig, PretrainConfig, read_toml
from videorep.errors import ConfigError


def words(text):
    return text.split()


@pytest.fixture
def handed_over(monkeypatch):
    """Runs a command with its worker replaced; gives the worker's arguments."""

    def run(command, module, function, *arguments):
        calls = []

        def worker(*positional, **named):
            calls.append((positional, named))
            return {"run": "runs/x", "loss": 1.5}

        monkeypatch.setitem(sys.modules, module, types.SimpleNamespace(**{function: worker}))
        result = CliRunner().invoke(videorep_command, [*command.split(), *map(str, arguments)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return calls[0]

    return run


@pytest.fixture
def pretrain(handed_over):
    def run(*arguments):
        command = "pretrain moving-mnist --out runs/x"
        positional, named = handed_over(command, "videorep.training.pretrain", "pretrain", *arguments)
        assert positional[1] == "runs/x"
        return positional[0], named

    return run


@pytest.fixture
def finetune(handed_over):
    def run(*arguments):
        command = "finetune shards --out runs/x"
        positional, named = handed_over(command, "videorep.training.finetune", "finetune", *arguments)
        return positional[0], named

    return run


@pytest.fixture
def config_file(tmp_path):
    def write(text):
        path = tmp_path / "settings.toml"
        path.write_text(text)
        return path

    return write


def fails(*arguments):
    result = CliRunner().invoke(videorep_command, [str(argument) for argument in arguments])
    assert "Traceback" not in result.output
    return result.exit_code, result.stderr


def test_defaults_are_those_of_the_configuration(pretrain, finetune):
    config, named = pretrain()
    assert config == PretrainConfig()
    assert {name: named[name] for name in ("resume", "overwrite", "dry_run")} == dict.fromkeys(
        ("resume", "overwrite", "dry_run"), False
    )
    assert finetune()[0].training == FinetuneConfig().training


def test_every_pretrain_option_arrives(pretrain):
    config, named = pretrain(
        *words(
            "--model autoencoder --units 64 --layers 3 --conditional reconstruction --output gaussian --standardise"
        ),
        *words("--input-frames 5 --future-frames 6 --digits mnist --num-digits 1 --patch 32 --colour"),
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
    assert (training.steps, training.batch_size, training.optimizer, training.learning_rate) == (7, 8, "sgd", 0.5)
    assert (training.precision, training.seed) == ("mixed_bfloat16", 9)
    assert named["resume"] and named["overwrite"] and named["dry_run"]


def test_every_finetune_option_arrives(finetune):
    config, named = finetune(
        *words("--init runs/composite --model lstm --dropout 0.1 --freeze-encoder --block-frames 8"),
        *words("--block-stride 4 --videos-per-class 2 --repeats 10 --steps 3"),
    )
    assert config.init == "runs/composite" and config.data.path == "shards"
    model = config.model
    assert (model.name, model.dropout, model.freeze_encoder) == ("lstm", 0.1, True)
    assert (model.block_frames, model.block_stride, config.data.videos_per_class) == (8, 4, 2)
    assert config.training.steps == 3 and named["repeats"] == 10


def test_every_train_stream_option_arrives(handed_over):
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


def test_command_line_overrules_file_and_file_overrules_defaults(pretrain, config_file):
    path = config_file(
        "[training]\nsteps = 11\nbatch_size = 12\n[model]\nname = 'autoencoder'\n[data]\npath = 'other'\n"
    )
    config, _ = pretrain("--config", path, "--steps", 13)
    assert config.training.steps == 13
    assert config.training.batch_size == 12
    assert config.training.optimizer == "rmsprop"
    assert config.model.name == "autoencoder"
    assert config.data.path == "moving-mnist"


def test_default_given_on_the_command_line_overrules_the_file(pretrain, config_file):
    config, _ = pretrain("--config", config_file("[training]\nsteps = 11\n"), "--steps", 1000)
    assert config.training.steps == 1000


@pytest.mark.parametrize(
    "arguments, units",
    [
        ((), (512,)),
        (("--units", 64), (64,)),
        (("--layers", 2), (512, 512)),
        (("--units", 2048, "--layers", 2), (2048, 2048)),
    ],
)
def test_units_and_layers(pretrain, arguments, units):
    assert pretrain(*arguments)[0].model.units == units


@pytest.mark.parametrize(
    "arguments, units",
    [((), (30, 20, 10)), (("--units", 512), (512,) * 3), (("--layers", 2), (30, 30))],
)
def test_units_of_a_file(pretrain, config_file, arguments, units):
    path = config_file("[model]\nunits = [30, 20, 10]\n")
    assert pretrain("--config", path, *arguments)[0].model.units == units


@pytest.mark.parametrize("layers", [1, 3])
def test_one_number_in_a_file_is_the_size_of_a_layer(pretrain, config_file, layers):
    path = config_file("[model]\nunits = 30\n")
    assert pretrain("--config", path)[0].model.units == (30,)
    assert pretrain("--config", path, "--layers", layers)[0].model.units == (30,) * layers


@pytest.mark.parametrize("units", ["{ a = 1 }", "true", "'x'", "[[1]]", "1.5", "[]", "0", str(10**400)])
def test_units_of_a_file_that_are_none_are_one_sentence(config_file, units):
    path = config_file(f"[model]\nunits = {units}\n")
    for layers in ((), ("--layers", 2)):
        status, message = fails("pretrain", "moving-mnist", "--out", "runs/x", "--config", path, *layers)
        assert status == 1 and "units" in message and message.count("\n") == 1


HUGE = {
    "model": {"units": 2**16, "input_frames": 10**5, "future_frames": 10**5},
    "data": {"num_digits": 1000, "patch": 10**5},
    "training": {"steps": 10**9, "batch_size": 10**6, "seed": 2**53},
}
HUGE = [(table, name, largest) for table, names in HUGE.items() for name, largest in names.items()]


@pytest.mark.parametrize("table, name, largest", HUGE, ids=lambda value: str(value))
def test_numbers_have_a_bound_that_is_told_on_the_command_line_and_in_a_file(config_file, table, name, largest):
    option = "--" + name.replace("_", "-")
    for value in (largest + 1, 2**63, 10**400):
        path = config_file(f"[{table}]\n{name} = {value}\n")
        status, message = fails("pretrain", "moving-mnist", "--out", "runs/x", "--config", path)
        assert status == 1 and f"{largest:,}" in message and message.count("\n") == 1 and len(message) < 500
        status, message = fails("pretrain", "moving-mnist", "--out", "runs/x", option, value)
        assert status == 2 and str(largest) in message.replace(",", "")


def test_layers_have_a_bound():
    status, message = fails("pretrain", "moving-mnist", "--out", "runs/x", "--layers", 10**9)
    assert status == 2 and "1<=x<=100" in message


@pytest.mark.parametrize("command, kind", [("pretrain", "finetune"), ("finetune", "stream"), ("train-stream", "x")])
def test_a_file_of_another_kind_of_run_is_refused(config_file, command, kind):
    path = config_file(f"kind = '{kind}'\n")
    status, message = fails(command, "shards", "--out", "runs/x", "--config", path)
    assert status == 1 and "kind" in message and kind in message


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
def test_conditional_is_repeated_or_separated_by_commas(pretrain, arguments):
    assert pretrain(*arguments)[0].model.conditional == ("reconstruction", "future")


@pytest.mark.parametrize(
    "arguments, choices",
    [
        (("--model", "gan"), ("autoencoder", "future_predictor", "composite")),
        (("--conditional", "past"), ("reconstruction", "future")),
        (("--optimizer", "lion"), ("sgd", "rmsprop", "adam")),
        (("--precision", "float8"), ("float32", "mixed_bfloat16", "mixed_float16")),
        (("--units", "many"), ("integer",)),
    ],
)
def test_unknown_value_is_bad_usage_and_names_the_choices(arguments, choices):
    status, message = fails("pretrain", "moving-mnist", "--out", "runs/x", *arguments)
    assert status == 2
    assert all(choice in message for choice in choices)


def test_unknown_size_is_bad_usage():
    status, message = fails("build-shards", "clips", "videos", "--out", "shards", "--size", "120x")
    assert status == 2
    assert "expected height x width such as 120x160, or a shorter side, received '120x'" in message


@pytest.mark.parametrize(
    "text, part",
    [
        ("[training]\nstep = 3\n", "'step'"),
        ("[training]\nsteps = 'many'\n", "training.steps"),
        ("training = 3\n", "training"),
        ("[training\n", "TOML"),
    ],
)
def test_bad_file_is_one_sentence(config_file, text, part):
    path = config_file(text)
    status, message = fails("pretrain", "moving-mnist", "--out", "runs/x", "--config", path, "--seed", 1)
    assert status == 1
    assert message.startswith("Error: expected ") and part in message and message.count("\n") == 1


BAD_FILES = {
    "not UTF-8": b"[model]\nname = '\xff'\n",
    "too many digits": b"[training]\nsteps = " + b"9" * 6000,
    "too many hexadecimal digits": b"[training]\nsteps = 0x" + b"f" * 6000,
    "no float": b"[training]\nlearning_rate = 1" + b"0" * 400,
    "infinite": b"[training]\nlearning_rate = inf",
    "no number": b"[training]\nclip_norm = nan",
    "too deep": b"a = " + b"[" * 5000 + b"]" * 5000,
    "deep tables": b"[" + b"a." * 5000 + b"a]\n",
    "zero bytes": b'[data]\ndigits = "a\\u0000"\n',
    "endless": b"#" * (1 << 21),
}


@pytest.mark.parametrize("text", BAD_FILES.values(), ids=BAD_FILES)
def test_file_that_no_settings_can_be_read_from_is_one_sentence(tmp_path, text):
    path = tmp_path / "settings.toml"
    path.write_bytes(text)
    status, message = fails("pretrain", "moving-mnist", "--out", "runs/x", "--config", path, "--layers", 2)
    assert status == 1 and message.startswith("Error: expected ") and message.count("\n") == 1 and len(message) < 700


def test_missing_file_is_one_sentence(tmp_path):
    path = tmp_path / "none.toml"
    status, message = fails("pretrain", "moving-mnist", "--out", "runs/x", "--config", path)
    assert status == 1 and str(path) in message and message.count("\n") == 1


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


BUILDERS = {
    "clips videos": ("videorep.data.videos.build", "build_clips", ClipsConfig()),
    "percepts shards --backbone vgg16": ("videorep.data.percepts.build", "build_percepts", PerceptsConfig("vgg16")),
    "moving-mnist --count 5": ("videorep.data.digits.build", "build_moving_mnist", MovingMNISTConfig(5)),
}


@pytest.mark.parametrize("command", BUILDERS)
def test_defaults_of_builders_are_those_of_the_configuration(handed_over, command):
    module, function, default = BUILDERS[command]
    positional, named = handed_over(f"build-shards {command} --out shards", module, function)
    assert positional[-1] == default and positional[-2] == "shards"
    assert named.pop("progress") is not None
    assert named == {"resume": False, "overwrite": False, "dry_run": False}


@pytest.mark.parametrize("command", BUILDERS)
def test_help_shows_the_defaults_of_the_configuration(command):
    shown = CliRunner().invoke(videorep_command, ["build-shards", command.split()[0], "--help"]).output
    default = BUILDERS[command][2]
    elsewhere = {"backbone", "count", "name", "splits"}  # required, or of Python and files alone
    for field in dataclasses.fields(default):
        if field.name not in elsewhere and str(field.default) not in ("", "None", "False"):
            assert f"[default: {field.default}]" in " ".join(shown.split()), field.name


def test_clips_receive_every_option(handed_over):
    positional, named = handed_over(
        "build-shards clips videos --out shards",
        "videorep.data.videos.build",
        "build_clips",
        *words("--labels ucf101 --split lists:2 --fps 12.5 --size 120x160 --sample-seconds 10 --total-hours 3"),
        *words("--seed 4 --workers 2 --dry-run --timeout 9"),
        *words("--max-bad-fraction 0.1 --keep-partial --allow-leaks --quality 80"),
    )
    videos, out, config = positional
    assert (videos, out, named["dry_run"], named["resume"]) == ("videos", "shards", True, False)
    assert dataclasses.asdict(config) == {
        "labels": "ucf101",
        "split": "lists:2",
        "classes": None,
        "fps": 12.5,
        "size": (120, 160),
        "quality": 80,
        "sample_seconds": 10.0,
        "total_hours": 3.0,
        "seed": 4,
        "workers": 2,
        "timeout": 9.0,
        "max_bad_fraction": 0.1,
        "keep_partial": True,
        "allow_leaks": True,
        "name": "clips",
    }


def test_percepts_and_moving_mnist_receive_every_option(handed_over):
    positional, _ = handed_over(
        "build-shards percepts shards --out out --backbone net.keras --layer top --weights w.h5 --stream flow",
        *BUILDERS["percepts shards --backbone vgg16"][:2],
        *words("--flow-stack 3 --dtype float32 --gzip --batch-size 7"),
    )
    assert positional[2] == PerceptsConfig("net.keras", "top", "w.h5", "flow", 3, "float32", "gzip", 7)
    positional, _ = handed_over(
        "build-shards moving-mnist --out out --count 6 --digits mnist --num-digits 3 --frames 4 --seed 5",
        *BUILDERS["moving-mnist --count 5"][:2],
    )
    assert positional == ("out", MovingMNISTConfig(6, "mnist", 3, 4, 5))


def test_a_file_of_settings_builds_too(handed_over, config_file):
    text = """
        split = 0.8
        fps = 5
        size = [24, 40]
        classes = ["b", "a"]
        keep_partial = true
        workers = 2
        quality = 70
        """
    clips = ("build-shards clips videos --out shards", *BUILDERS["clips videos"][:2])
    (_, _, config), _ = handed_over(*clips, "--config", config_file(text), "--quality", 60)
    shape = {"split": 0.8, "fps": 5.0, "size": (24, 40), "classes": ("b", "a")}
    assert config == ClipsConfig(**shape, keep_partial=True, workers=2, quality=60)
    (_, _, config), _ = handed_over(
        *clips, "--config", config_file("size = 24\nclasses = 'names.txt'\nsplit = 'l:1'\n")
    )
    assert config == ClipsConfig(size=24, classes="names.txt", split="l:1")


@pytest.mark.parametrize(
    "text",
    ["size = '24x40'", "size = [24]", "fps = 'all'", "workers = true", "quality = 9.5", "speed = 1", "classes = 3"],
)
def test_a_bad_file_of_settings_of_a_build_is_one_sentence(config_file, text):
    status, message = fails("build-shards", "clips", "videos", "--out", "shards", "--config", config_file(text))
    assert status == 1 and text.split()[0] in message and message.count("\n") == 1


@pytest.mark.parametrize(
    "command, option",
    [
        ("clips videos", "--fps 0"),
        ("clips videos", "--fps nan"),
        ("clips videos", "--size 9000"),
        ("clips videos", "--quality 101"),
        ("clips videos", "--sample-seconds -1"),
        ("clips videos", "--total-hours 1"),
        ("clips videos", "--seed -1"),
        ("clips videos", "--workers 0"),
        ("clips videos", "--timeout 0"),
        ("clips videos", "--max-bad-fraction 1.5"),
        ("percepts shards --backbone vgg16", "--flow-stack 0"),
        ("percepts shards --backbone vgg16", "--batch-size 0"),
        ("percepts shards --backbone vgg16", "--dtype int8"),
        ("moving-mnist", "--count 0"),
        ("moving-mnist --count 5", "--num-digits 0"),
        ("moving-mnist --count 5", "--frames 1"),
    ],
)
def test_a_value_that_no_build_can_have_is_bad_usage_and_names_the_option(command, option):
    status, message = fails("build-shards", *command.split(), "--out", "shards", *option.split())
    assert status == 2 and option.split()[0] in message


@pytest.mark.parametrize("command, missing", [("percepts shards", "--backbone"), ("moving-mnist", "--count")])
def test_what_a_build_cannot_do_without_is_asked_for(command, missing):
    status, message = fails("build-shards", *command.split(), "--out", "shards")
    assert status == 2 and f"Missing option '{missing}'" in message


def test_keys_of_many_parts_take_no_memory(tmp_path):
    (tmp_path / "deep.toml").write_text(".".join(["a"] * 5000) + " = 1")
    with pytest.raises(ConfigError, match="lines of at most 100 dots"):
        read_toml(tmp_path / "deep.toml")


@pytest.mark.parametrize("name", ["dataset.json", "config.json", "model.keras", "clips-train.tfrecord-00000-of-00002"])
def test_no_result_takes_the_place_of_what_others_need(tmp_path, name):
    (tmp_path / name).write_text("needed")
    status, message = fails("evaluate", "run", "--json", tmp_path / name, "--overwrite")
    assert status == 1 and message.startswith("Error: expected a name of its own for the result")
    assert (tmp_path / name).read_text() == "needed"
