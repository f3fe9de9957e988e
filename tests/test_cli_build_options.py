"""How options, --config and defaults of builds become the settings that a builder receives."""

import dataclasses

import pytest
from click.testing import CliRunner
from command_line import fails, handed_over, words

from videorep.build_config import ClipsConfig, FeaturesConfig, MovingMNISTConfig, PerceptsConfig
from videorep.cli.main import videorep_command


def test_unknown_size_is_bad_usage():
    status, message = fails("build-shards", "clips", "videos", "--out", "shards", "--size", "120x")
    assert status == 2
    assert "expected height x width such as 120x160, or a shorter side, received '120x'" in message


BUILDERS = {
    "clips videos": ("videorep.data.videos.build", "build_clips", ClipsConfig()),
    "percepts shards --backbone vgg16": ("videorep.data.percepts.build", "build_percepts", PerceptsConfig("vgg16")),
    "features shards": ("videorep.data.features.build", "build_features", FeaturesConfig()),
    "moving-mnist --count 5": ("videorep.data.digits.build", "build_moving_mnist", MovingMNISTConfig(5)),
}


@pytest.mark.parametrize("command", BUILDERS)
def test_defaults_of_builders_are_those_of_the_configuration(command):
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


def test_clips_receive_every_option():
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
        "every": None,
    }
    (_, _, config), _ = handed_over(
        "build-shards clips videos --out shards --every 5", "videorep.data.videos.build", "build_clips"
    )
    assert (config.fps, config.every, config.shaping["every"]) == (None, 5, 5)


def test_percepts_and_moving_mnist_receive_every_option():
    positional, _ = handed_over(
        "build-shards percepts shards --out out --backbone net.keras --layer top --weights w.h5 --stream flow",
        *BUILDERS["percepts shards --backbone vgg16"][:2],
        *words("--flow-stack 3 --dtype float32 --gzip --batch-size 7"),
    )
    assert positional[2] == PerceptsConfig("net.keras", "top", "w.h5", "flow", 3, "float32", "gzip", 7)
    (_, _, config), _ = handed_over(
        "build-shards percepts shards --out out --backbone net.keras --layer top --layer low --pool grid:2x3",
        *BUILDERS["percepts shards --backbone vgg16"][:2],
    )
    assert config == PerceptsConfig("net.keras", ("top", "low"), pool="grid:2x3")
    (_, _, config), _ = handed_over(
        "build-shards features shards --out out --labels folders --split 0.5 --classes names --match *_rgb.npy",
        *BUILDERS["features shards"][:2],
        *words("--array rgb --fps 4 --dtype float32 --gzip --seed 2 --max-bad-fraction 0 --allow-leaks"),
    )
    assert config == FeaturesConfig(
        "folders", "0.5", "names", "*_rgb.npy", "rgb", 4.0, "float32", "gzip", 2, 0.0, allow_leaks=True
    )
    positional, _ = handed_over(
        "build-shards moving-mnist --out out --count 6 --digits mnist --num-digits 3 --frames 4 --seed 5",
        *BUILDERS["moving-mnist --count 5"][:2],
    )
    assert positional == ("out", MovingMNISTConfig(6, "mnist", 3, 4, 5))


def test_a_file_of_settings_builds_too(config_file):
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
        ("percepts shards --backbone vgg16", "--pool grid:0x2"),
        ("percepts shards --backbone vgg16", "--layer a --layer a"),
        ("features shards", "--match /"),
        ("features shards", "--fps 0"),
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


def test_every_and_fps_exclude_one_another():
    for given, message in (("--every 2 --fps 5", "every to be without --fps"), ("--every 0", "from 1 to")):
        status, told = fails(*words("build-shards clips videos --out shards"), *words(given))
        assert status == 2 and message in told
