"""How a file of settings and the command line become one configuration, and which files are refused."""

import pytest
from command_line import fails, pretrain

from videorep.config_values import read_toml
from videorep.errors import ConfigError


def test_command_line_overrules_file_and_file_overrules_defaults(config_file):
    path = config_file(
        "[training]\nsteps = 11\nbatch_size = 12\n[model]\nname = 'autoencoder'\n[data]\npath = 'other'\n"
    )
    config, _ = pretrain("--config", path, "--steps", 13)
    assert config.training.steps == 13
    assert config.training.batch_size == 12
    assert config.training.optimizer == "rmsprop"
    assert config.model.name == "autoencoder"
    assert config.data.path == "moving-mnist"


def test_default_given_on_the_command_line_overrules_the_file(config_file):
    config, _ = pretrain("--config", config_file("[training]\nsteps = 11\n"), "--steps", 1000)
    assert config.training.steps == 1000


@pytest.mark.parametrize(
    "arguments, units",
    [((), (30, 20, 10)), (("--units", 512), (512,) * 3), (("--layers", 2), (30, 30))],
)
def test_units_of_a_file(config_file, arguments, units):
    path = config_file("[model]\nunits = [30, 20, 10]\n")
    assert pretrain("--config", path, *arguments)[0].model.units == units


@pytest.mark.parametrize("layers", [1, 3])
def test_one_number_in_a_file_is_the_size_of_a_layer(config_file, layers):
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


@pytest.mark.parametrize("command, kind", [("pretrain", "finetune"), ("finetune", "stream"), ("train-stream", "x")])
def test_a_file_of_another_kind_of_run_is_refused(config_file, command, kind):
    path = config_file(f"kind = '{kind}'\n")
    status, message = fails(command, "shards", "--out", "runs/x", "--config", path)
    assert status == 1 and "kind" in message and kind in message


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


def test_keys_of_many_parts_take_no_memory(tmp_path):
    (tmp_path / "deep.toml").write_text(".".join(["a"] * 5000) + " = 1")
    with pytest.raises(ConfigError, match="lines of at most 100 dots"):
        read_toml(tmp_path / "deep.toml")
