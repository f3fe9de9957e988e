"""Shards on S3: the commands against a real server (moto's), each in a process of its own as on a user's machine."""

import hashlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

if importlib.util.find_spec("tensorflow_io") is None:
    pytest.skip("tensorflow-io is not installed (tools/test --remote has it)", allow_module_level=True)

import boto3

BUCKET = "videos"
COUNT = 40
TINY = ("--units", 4, "--layers", 1, "--steps", 2, "--batch-size", 2)
FRAMES = ("--input-frames", 3, "--future-frames", 3)


@pytest.fixture(scope="module")
def variables():
    """The environment in which a command finds the server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    server = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(address, process)
            s3 = {"S3_ENDPOINT": address, "S3_USE_HTTPS": "0", "S3_VERIFY_SSL": "0", "AWS_REGION": "us-east-1"}
            yield os.environ | s3 | {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        finally:
            process.kill()


def _wait_for(address, process):
    for _ in range(600):
        assert process.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(address).close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the server does not answer")


@pytest.fixture(scope="module")
def objects(variables):
    """The bucket, seen by another program than TensorFlow."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    bucket = boto3.resource("s3", endpoint_url=variables["S3_ENDPOINT"], **keys).Bucket(BUCKET)
    bucket.create()
    return bucket


def start(variables, *arguments):
    command = [sys.executable, "-m", "videorep.cli.main", *map(str, arguments)]
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(variables, *arguments, status=0):
    """What the command prints: on standard output, or where it fails on standard error."""
    process = start(variables, *arguments)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == status, errors
    assert "pure virtual" not in errors and "Traceback" not in errors
    return errors if status else output


def build_command(out, *more):
    return ("build-shards", "moving-mnist", "--out", out, "--count", COUNT, "--frames", 6, *more)


def contents(bucket, prefix):
    """{name: bytes} of the objects under a prefix."""
    return {each.key.removeprefix(prefix): each.get()["Body"].read() for each in bucket.objects.filter(Prefix=prefix)}


@pytest.fixture(scope="module")
def shards(variables, objects):
    """Moving digits on S3, where there is nothing yet to overwrite."""
    run(variables, *build_command(f"s3://{BUCKET}/digits", "--overwrite"))
    return f"s3://{BUCKET}/digits"


@pytest.fixture(scope="module")
def local(tmp_path_factory, variables):
    """The same shards in a folder."""
    folder = tmp_path_factory.mktemp("local") / "digits"
    run(variables, *build_command(folder))
    return folder


def test_a_build_on_s3_has_the_bytes_of_one_in_a_folder(objects, shards, local):
    assert contents(objects, "digits/") == {path.name: path.read_bytes() for path in local.iterdir()}


def test_a_bucket_alone_is_no_folder(variables):
    assert "expected a folder in a bucket" in run(variables, *build_command(f"s3://{BUCKET}"), status=1)


def test_verify_and_inspect_read_s3(variables, shards, tmp_path):
    assert run(variables, "verify", shards).endswith(f"\n{shards} is sound\n")
    told = run(variables, "inspect", shards, "--out", tmp_path / "sheet.png")
    assert f"sequences: {COUNT}\n" in told and (tmp_path / "sheet.png").stat().st_size > 1000


def test_training_and_evaluation_read_s3(variables, shards, local, tmp_path):
    for data, name in ((shards, "remote"), (local, "local")):
        run(variables, "pretrain", data, "--out", tmp_path / name, *TINY, *FRAMES)
    logs = [json.loads((tmp_path / name / "metrics.jsonl").read_text()) for name in ("remote", "local")]
    assert logs[0]["loss"] == logs[1]["loss"]
    provenance = json.loads((tmp_path / "remote" / "provenance.json").read_text())
    assert provenance["data"]["path"] == shards
    run(variables, "evaluate", tmp_path / "remote", shards, "--limit", 4)


def test_percepts_go_from_s3_to_s3(variables, shards, objects, tmp_path):
    make = "import keras, sys; keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()]).save(sys.argv[1])"
    subprocess.run([sys.executable, "-c", make, tmp_path / "flat.keras"], check=True, env=variables)
    percepts = f"s3://{BUCKET}/percepts"
    run(variables, "build-shards", "percepts", shards, "--out", percepts, "--backbone", tmp_path / "flat.keras")
    assert run(variables, "verify", percepts).splitlines() == [
        f"not checked: what {percepts} was made from: name it with videorep verify {percepts} --sources FOLDER",
        f"not checked: the convnet of {percepts}: name it with videorep verify {percepts} --backbone FILE",
        f"{percepts} is sound",
    ]
    run(variables, "pretrain", percepts, "--out", tmp_path / "run", *TINY, *FRAMES)


def finished(bucket, prefix):
    """{name: time of upload} of the shards that have their journal."""
    written = {each.key.removeprefix(prefix): each.last_modified for each in bucket.objects.filter(Prefix=prefix)}
    return {name: when for name, when in written.items() if f".build/{name}.json" in written}


def test_a_killed_build_goes_on_to_the_same_bytes(variables, objects, tmp_path):
    url, count = f"s3://{BUCKET}/killed", ("--count", 3000)
    process = start(variables, *build_command(url, *count))
    while not finished(objects, "killed/"):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    process.kill()
    process.communicate()
    kept = finished(objects, "killed/")
    assert "dataset.json" not in contents(objects, "killed/")
    told = run(variables, *build_command(url, *count), status=1)
    assert "unfinished build" in told and "--resume" in told
    run(variables, *build_command(url, *count, "--resume"))
    times = {each.key.removeprefix("killed/"): each.last_modified for each in objects.objects.all()}
    assert len(kept) < 9 and kept.items() <= times.items()
    run(variables, *build_command(tmp_path / "whole", *count))
    whole = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    assert hashes(contents(objects, "killed/")) == hashes(whole)


def hashes(files):
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def test_a_damaged_and_a_missing_object_are_named(variables, objects, shards, tmp_path):
    url, files = f"s3://{BUCKET}/damaged", contents(objects, "digits/")
    (damaged,) = [name for name in files if "-train" in name]
    (missing,) = [name for name in files if "-test" in name]
    files[damaged] = files[damaged][:-1] + bytes([files[damaged][-1] ^ 1])
    for name in files.keys() - {missing}:
        objects.put_object(Key=f"damaged/{name}", Body=files[name])
    told = run(variables, "pretrain", url, "--out", tmp_path / "run", *TINY, *FRAMES, status=1)
    assert f"{url}/{damaged}" in told and f"record {COUNT - 1}" in told
    process = start(variables, "verify", url)
    output, errors = process.communicate()
    assert process.returncode == 1 and "2 problem(s)" in errors
    assert f"{damaged}: record {COUNT - 1}: damaged" in output and f"{missing}: missing" in output


@pytest.mark.parametrize("command", ["build-shards", "pretrain", "verify"])
def test_a_missing_bucket_is_one_sentence(variables, tmp_path, command):
    url = "s3://no-such-bucket/digits"
    arguments = {
        "build-shards": build_command(url),
        "pretrain": ("pretrain", url, "--out", tmp_path / "run", *TINY),
        "verify": ("verify", url),
    }
    told = run(variables, *arguments[command], status=1)
    assert told.startswith("Error: expected") and url in told and told.count("\n") == 1


def test_a_program_ends_with_its_own_status(variables, shards):
    program = f"import sys; from videorep.data import read_shards; next(iter(read_shards('{shards}'))); sys.exit(7)"
    done = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True)
    assert done.returncode == 7, done.stderr
