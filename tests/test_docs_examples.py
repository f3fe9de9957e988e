"""Every fenced example of the documents runs, or is held against the real options where it cannot."""

import argparse
import configparser
import itertools
import os
import re
import runpy
import shlex
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import click
import keras
import numpy as np
import pytest
from click.testing import CliRunner
from feature_arrays import make_folder, make_thumos
from generated_videos import write_video

from videorep.cli.main import videorep_command
from videorep.config import PretrainConfig
from videorep.config_values import from_dict
from videorep.data import write_shards

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "tfrecords" / "README.md"])
LANGUAGES = {"sh", "python", "toml", "text", "mermaid"}

# Documents whose `videorep` lines run one after another in a folder of small videos, with what makes them small.
RUN = {"README.md": (), "docs/results.md": pytest.mark.slow, "docs/benchmarks.md": (), "docs/live.md": ()}
RUN |= {"docs/reproduce.md": (), "docs/pictures.md": (), "docs/percepts.md": ()}
ONLY_PARSED = {
    "SECURITY.md": "needs containers and the like; tests/test_security.py runs what is said to be tested",
    "docs/serving.md": "exports what README.md trains and exports too; tests/test_serving_*.py run what is said",
    "docs/demo.md": "listens until it is told to end; tests/test_demo_*.py run what is said",
    "docs/python.md": "needs the community's file; tests/test_cli_pictures.py runs the same with a small one",
    "docs/scaling.md": "is for several machines; tests/test_data_shards_parts.py and others run the same on one",
    "docs/remote.md": "needs a bucket; tests/test_data_remote.py runs the same against a server",
}
SMALL = {
    "pretrain": "--units 3 --layers 1 --steps 1 --batch-size 2",
    "train-stream": "--steps 1 --batch-size 2",
    "finetune": "--steps 1 --batch-size 2",
    "compare": "--units 3 --draws 1 --trials 1 --pretrain-steps 1",
    "actions": "--config tiny.toml",
    "prediction": "--config small.toml",
}
FILM = "VIDEOS/Archery/v_Archery_g01_c01.avi"
IN_PLACE_OF = {"vgg16": "tiny.keras", "MNIST_FOLDER": "rendered", "2000": "2", "10000": "2"}
IN_PLACE_OF |= dict.fromkeys(["0", "rtsp://camera/live", "holiday.mp4"], FILM)  # what is watched
IN_PLACE_OF |= {"openvino": "auto", "bfloat16": "float32"}  # not everywhere
IN_PLACE_OF |= dict.fromkeys(["hub:dinov2_small", "hub:siglip_base_patch16_224"], "tiny.keras")
IN_PLACE_OF |= {"stage8": "block5_pool"}
SETTINGS = {"often.toml": "[training]\nreport_every = 1\n", "stream.toml": "[training]\nwarmup_steps = 20\n"}
SETTINGS["change.toml"] = "[training]\nlearning_rate = 5e-4\n"
SETTINGS["watched.toml"] = "[training]\nevaluate_every = 1\nevaluation_sequences = 2\n"
SETTINGS["tiny.toml"] = (
    "units = 3\nlayers = 1\nsteps = [1]\ndraws = 1\nvideos_per_class = [1]\nmodels = ['composite']\nsplits = [1]\n"
    "[pretraining]\nsteps = 1\nbatch_size = 2\n"
)
SETTINGS["small.toml"] = (
    "units = 3\nseeds = [0]\nsequences = 2\n[digits.training]\nsteps = 1\nbatch_size = 2\n"
    "[patches]\nside = 8\n[patches.training]\nsteps = 1\nbatch_size = 2\n"
)
ACTIONS = [f"VIDEOS/Archery/v_Archery_g{number:02d}_c01.avi,0.2,0.8,shot" for number in (1, 3, 5, 7, 9)]
SETTINGS["actions.csv"] = "\n".join(["path,start,end,label", *ACTIONS]) + "\n"

# Programs that run videorep, whose part is parsed.
WRAPPERS = {"prlimit", "unshare", "docker", "bwrap", "systemd-run", "firejail"}
# Other programs that are no part of the project: nothing of their options is ours to keep.
OTHERS = {
    "git": "fetches the project",
    "saved_model_cli": "comes with TensorFlow",
    "cd": "a word of the shell",
    "export": "a word of the shell",
    ".venv-test/bin/ruff": "the linter of the extra dev",
    ".venv-test/bin/coverage": "measures coverage; CONTRIBUTING.md says how to get it",
    ".venv-test/bin/pip": "a package for one purpose, named there",
}

# What tools need that not every environment of the tests has.
PACKAGES_OF_TOOLS = {"tools/benchmark_serving.py": ("tensorflow_serving",)}


class Block(NamedTuple):
    document: str
    line: int
    language: str
    text: str

    def __str__(self):
        return f"{self.document}:{self.line}"


def blocks_of(path):
    document, language, text = path.relative_to(ROOT).as_posix(), None, []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fence = re.fullmatch(r" *```(\w*)", line)
        if fence and language is None:
            language, begin, text = fence[1], number, []
        elif fence:
            indent = min((len(each) - len(each.lstrip()) for each in text if each.strip()), default=0)
            yield Block(document, begin, language, "\n".join(each[indent:] for each in text) + "\n")
            language = None
        else:
            text.append(line)
    assert language is None, f"{document}: the last fence has no end"


BLOCKS = [block for path in DOCUMENTS for block in blocks_of(path)]


def commands_of(block):
    """The words of every command of a shell block; comments, line ends and the variables before a command are gone."""
    for line in block.text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="&;|")
        lexer.whitespace_split, words = True, []
        for word in [*lexer, "&&"]:
            if word != "&&":
                words.append(word)
            elif words:
                yield words
                words = []


COMMANDS = [(block, words) for block in BLOCKS if block.language == "sh" for words in commands_of(block)]


def of_videorep(words):
    """The words behind the name of the program `videorep`, where a command runs it; else None."""
    places = [place for place, word in enumerate(words) if word.split("/")[-1] == "videorep"]
    return words[places[-1] + 1 :] if places and words[0] in {"videorep", *WRAPPERS} else None


class ParsedError(Exception):
    """What a program raises here where its options are parsed and its work would begin."""


@pytest.fixture
def parsing(monkeypatch):
    """Click's and argparse's programs parse, and then raise ParsedError."""
    invoke, parse = click.Command.invoke, argparse.ArgumentParser.parse_args

    def stop_at_command(self, ctx):
        if isinstance(self, click.Group):
            return invoke(self, ctx)
        raise ParsedError

    def stop_when_parsed(self, *arguments):
        parse(self, *arguments)
        raise ParsedError

    monkeypatch.setattr(click.Command, "invoke", stop_at_command)
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop_when_parsed)
    monkeypatch.setattr(sys, "path", [str(ROOT / "tools"), *sys.path])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What the examples name, small: videos of two classes with UCF-101's names and lists, convnets, settings."""
    monkeypatch.chdir(tmp_path)
    lists = {"train": [], "test": []}
    for number in range(10):
        label = ("Archery", "Bowling")[number % 2]
        name, split = f"{label}/v_{label}_g{number + 1:02d}_c01.avi", "test" if number > 5 else "train"
        for parent in (Path("VIDEOS"), Path("CLIPS")):
            (parent / label).mkdir(parents=True, exist_ok=True)
            write_video(parent / name, frames=31, first=31 * number)
        lists[split].append(f"{name} {number % 2 + 1}" if split == "train" else name)
    Path("LISTS").mkdir()
    for split, lines in lists.items():
        Path("LISTS", f"{split}list01.txt").write_text("\n".join(lines) + "\n")
    Path("LISTS", "classInd.txt").write_text("1 Archery\n2 Bowling\n")
    for name, text in SETTINGS.items():
        Path(name).write_text(text)
    images = keras.Input((16, 16, 3))
    cells = keras.layers.AveragePooling2D(4, name="block5_pool")(images)
    tiny = keras.Model(images, keras.layers.GlobalAveragePooling2D(name="fc1")(cells))
    for name in ("tiny.keras", "efficientnet_lite0_features.keras"):
        tiny.save(name)
    make_what_tools_make(tiny)
    make_folder(Path("FEATURES"), frames=40)
    make_thumos(Path("THUMOS"), rgb="rgb_anet_resnet50")
    return tmp_path


def make_what_tools_make(net):
    """What the examples have tools make, whose options alone are looked at here."""
    sys.path.insert(0, str(ROOT / "tools"))
    from flow_backbone import see_flow

    see_flow(net, 10).save("flow.keras")
    places = itertools.product(("digits", "more", "ways"), ("train", "test"), ("left", "right"), range(2))
    for number, (name, split, label, each) in enumerate(places):
        Path(name, split, label).mkdir(parents=True, exist_ok=True)
        write_video(Path(name, split, label, f"{each}.avi"), frames=31, first=700 + 31 * number)


def test_every_example_stands_in_a_fence_with_a_language():
    assert {block.language for block in BLOCKS} <= LANGUAGES
    for path in DOCUMENTS:
        outside = re.sub(r"^ *```.*?^ *```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        assert not re.findall(r"^    (?! )(?:videorep|tools/|python|import|pip) .*", outside, re.MULTILINE), path


def test_every_document_with_commands_has_a_rule():
    documents = {block.document for block, words in COMMANDS if of_videorep(words) is not None}
    assert documents == {*RUN, *ONLY_PARSED}


@pytest.mark.parametrize(("block", "words"), COMMANDS, ids=lambda value: "" if isinstance(value, list) else str(value))
def test_programs_and_options_exist(block, words, parsing, monkeypatch, capsys):
    ours = of_videorep(words)
    if ours is not None:
        with pytest.raises(ParsedError):
            videorep_command.main(ours, standalone_mode=False)
    if words[0] == "pip":
        check_requirement(words)
    elif words[0] == ".ci/run" or words[0].startswith("tools/"):
        check_script(words, monkeypatch)
    elif words[0] == "python":
        check_tool(words[1:], monkeypatch)
    else:
        assert words[0] in {"videorep", *WRAPPERS, *OTHERS}


def check_requirement(words):
    assert words[1] == "install" and len(words) == 3
    extra = re.fullmatch(r"(?:\.|videorep)(?:\[([\w-]+)\])?", words[2])
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert extra and (extra[1] is None or extra[1] in setup["options.extras_require"])


def check_script(words, monkeypatch):
    script = ROOT / words[0]
    assert os.access(script, os.X_OK)
    if words[0] == "tools/test":
        assert {word for word in words if word.startswith("-")} <= {"-m", "--remote"}
    elif script.with_suffix(".py").exists() and len(words) > 1:
        check_tool([f"{words[0]}.py", *words[1:]], monkeypatch)
    else:
        assert len(words) == 1


def check_tool(words, monkeypatch):
    for package in PACKAGES_OF_TOOLS.get(words[0], ()):
        pytest.importorskip(package, reason=f"{package}, which {words[0]} needs, is not installed")
    monkeypatch.setattr(sys, "argv", [str(ROOT / words[0]), *words[1:]])
    monkeypatch.setitem(sys.modules, "videorep", sys.modules["videorep"])  # put back where a tool does without
    with pytest.raises(ParsedError):
        runpy.run_path(sys.argv[0], run_name="__main__")


@pytest.mark.parametrize("document", [pytest.param(name, marks=marks) for name, marks in RUN.items()])
def test_commands_run_one_after_another(document, folder):
    for block, words in COMMANDS:
        if block.document == document and words[0] == "videorep":
            command = next(word for word in words[1:] if word not in ("build-shards", "reproduce"))
            words = [IN_PLACE_OF.get(word, word) for word in words[1:]]
            small = SMALL.get(command, "")
            if command == "pretrain" and "--init" in words:  # which has a size already
                small = small.removeprefix("--units 3 --layers 1 ")
            words += shlex.split(small)
            result = CliRunner().invoke(videorep_command, words, catch_exceptions=False)
            assert result.exit_code == 0, f"{shlex.join(words)}\n{result.output}"


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "python"], ids=str)
def test_python_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if block.document == "tfrecords/README.md":
        write_shards([{"frames": np.zeros((3, 8, 8, 3), np.uint8), "label": "a"}], "shards")
    names = {}
    exec(compile(block.text, str(block), "exec"), names)
    assert all(len(value) for name, value in names.items() if name in ("frames", "clip", "figures"))


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "toml"], ids=str)
def test_settings_are_those_of_a_run(block):
    from_dict(PretrainConfig, tomllib.loads(block.text))
