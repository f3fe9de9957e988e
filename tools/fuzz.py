"""Feeds every parser with files that a stranger may have made, and tells what does not end well: tools/fuzz --help.

Only a VideorepError, a usage error or plain success may come out, within 10 s and 1 GiB; damaged files of a format with
checksums must be refused or give the result of the sound ones. What falls short lands in --out, each finding with its
files and the line that repeats it.
"""

import collections
import contextlib
import dataclasses
import itertools
import json
import os
import random
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import hypothesis
from fuzzing import formats, mutations
from fuzzing.parsers import MANIFEST, PARSERS
from fuzzing.worker import FINDINGS, Verdict
from hypothesis import strategies as st

TOOLS = Path(__file__).resolve().parent
PATIENCE = 60  # seconds of silence after which a case is stopped: six times what a parser may take
BATCH, BATCH_SECONDS = 60, 3.0
CASES_PER_WORKER = 3000


class WorkerEndedError(Exception):
    """The worker's process came to its end, or was stopped; the message says how."""


@dataclasses.dataclass(frozen=True)
class Case:
    """Changes of a parser's sound files, {file: bytes}, and whether the result must be exact or a refusal."""

    changes: dict
    exact: bool


class Worker:
    """A process that runs parsers, started anew when one of them ends it."""

    def __init__(self, scratch):
        self.scratch, self.process, self.cases = scratch, None, 0
        self.errors = open(scratch / "errors.txt", "w+b")  # noqa: SIM115 (lives as long as the worker)

    def _start(self):
        replies, theirs = os.pipe()
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TOOLS), str(TOOLS.parent)])}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fuzzing.worker", str(theirs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self.errors,
            pass_fds=[theirs],
            env=environment,
            text=True,
        )
        os.close(theirs)
        self.replies, self.cases = open(replies), 0  # noqa: SIM115 (lives as long as the worker)

    def ask(self, patience=PATIENCE, **request):
        """The worker's answer; TimeoutError or WorkerEndedError, after which it is a new process."""
        if self.process is None or self.cases > CASES_PER_WORKER:
            self.stop()
            self._start()
            patience = 300
        self.errors.truncate(0)
        self.cases += 1
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            ready, _, _ = select.select([self.replies], [], [], patience)
            if not ready:
                raise TimeoutError
            if line := self.replies.readline():
                return json.loads(line)
        except TimeoutError:
            self.stop()
            raise
        except BrokenPipeError:
            pass
        self.stop()
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip("\0\n").splitlines()
        raise WorkerEndedError(f"status {self.status}: {lines[-1][:160] if lines else ''}")

    def stop(self):
        """Ends the process; `status` tells how it ended."""
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.5)
            self.process.kill()
            self.status = self.process.wait()
            self.replies.close()
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
            self.process = None

    def sound(self, name):
        """The folder of a parser's sound files."""
        return Path(self.ask(patience=300, make=name, folder=str(self.scratch / "sound")))

    def run(self, name, case):
        """The `Verdict` of a parser on a `Case`."""
        folder = self.scratch / "case"
        shutil.rmtree(folder, ignore_errors=True)
        sound = self.sound(name)
        shutil.copytree(sound, folder)
        for file, content in case.changes.items():
            (folder / file).write_bytes(content)
        try:
            return Verdict(**self.ask(read=name, folder=str(folder), sound=str(sound), exact=case.exact))
        except TimeoutError:
            return Verdict("slow", f"gave no answer for {PATIENCE} s")
        except WorkerEndedError as end:
            return Verdict("killed", str(end))


class Findings:
    """What was seen, counted per parser; the first case of each kind is kept with its files."""

    def __init__(self, out):
        self.out, self.counts, self.kept = out, collections.defaultdict(collections.Counter), {}

    def add(self, name, case, verdict):
        """Counts a case, and keeps it if it is a finding of a new kind."""
        self.counts[name][verdict.kind] += 1
        self.counts[name]["seconds"] += verdict.seconds
        # Numbers and quoted parts differ from case to case, the place in the code does not.
        known = (name, verdict.kind, verdict.detail.split(":")[0], verdict.detail.split(" at ")[-1])
        if verdict.kind not in FINDINGS or known in self.kept:
            return
        folder = self.out / f"{name}-{sum(key[0] == name for key in self.kept):02d}"
        self.kept[known] = folder
        for file, content in case.changes.items():
            (folder / "files" / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / "files" / file).write_bytes(content)
        (folder / "case.json").write_text(
            json.dumps({"parser": name, "exact": case.exact, "found": verdict.detail}) + "\n"
        )
        line = f"{name}: {verdict.kind}: {verdict.detail}; repeat: tools/fuzz --replay {folder}"
        with open(self.out / "findings.txt", "a") as file:
            file.write(line + "\n")
        click.echo(line)

    def table(self, minutes):
        """Lines of a table: per parser its cases, how they ended, and cases per second."""
        kinds = ("refused", "same", "other", *FINDINGS)
        yield f"{'parser':<22}{'cases':>8}" + "".join(f"{kind:>9}" for kind in kinds) + f"{'CPU s':>9}"
        total = collections.Counter()
        for name, counts in sorted(self.counts.items()):
            total.update(counts)
            yield self._row(name, counts, kinds)
        yield self._row("all", total, kinds)
        rate = sum(total[kind] for kind in kinds) / max(minutes, 1e-9)
        yield f"{len(self.kept)} kinds of findings, {rate:,.0f} cases a minute"

    @staticmethod
    def _row(name, counts, kinds):
        cases = sum(counts[kind] for kind in kinds)
        return f"{name:<22}{cases:>8}" + "".join(f"{counts[kind]:>9}" for kind in kinds) + f"{counts['seconds']:>9.0f}"


def cases_of(name, sound):
    """A strategy of a parser's cases."""
    parser = PARSERS[name]
    files = {str(path.relative_to(sound)): path.read_bytes() for path in sound.rglob("*") if path.is_file()}
    damages = [mutations.damaged(files[file]).map(lambda new, file=file: {file: new}) for file in parser.files]
    cases = [st.builds(Case, damage, st.just(parser.exact)) for damage in damages]
    if parser.craft is not None:
        cases.append(st.builds(Case, parser.craft(files), st.just(parser.exact_craft)))
    return st.one_of(cases)


def fuzz_batch(worker, name, findings, seed):
    """Draws and runs a batch of cases of one parser, to the end of its time."""
    strategy = cases_of(name, worker.sound(name))
    until = time.monotonic() + BATCH_SECONDS

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=BATCH,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy)
    def run(case):
        if time.monotonic() < until:  # drawing the rest costs little
            findings.add(name, case, worker.run(name, case))

    run()


def fuzz(names, minutes, seed, worker, findings):
    """Gives every parser a batch in turn until the time is over; the seed decides the cases of each batch."""
    end, generator = time.monotonic() + 60 * minutes, random.Random(seed)
    for name in itertools.cycle(names):
        if time.monotonic() >= end:
            return
        fuzz_batch(worker, name, findings, generator.randrange(2**32))


def systematic(worker, findings):
    """Runs fixed sets of damage: structures of dataset.json, flips of a run's and of shards' files."""
    counts = {"checkpoint-text": 158, "model-keras": 103, "checkpoint-index": 60, "checkpoint-data": 60}
    files = {name: PARSERS[name].files[-1] for name in counts}
    sets = {
        name: [{file: new} for new in mutations.flips((worker.sound(name) / file).read_bytes(), counts[name])]
        for name, file in files.items()
    }
    plain = json.loads((worker.sound("dataset-json") / MANIFEST).read_bytes())
    sets["dataset-json"] = ({MANIFEST: formats.sign(tree)} for tree in mutations.structures(plain))
    for name, changes in sets.items():
        for case in (Case(each, exact=True) for each in changes):
            findings.add(name, case, worker.run(name, case))
        click.echo(f"{name}: {dict(findings.counts[name])}")


def replay(folder, worker):
    """Runs a kept finding again."""
    case = json.loads((folder / "case.json").read_text())
    files = [path for path in (folder / "files").rglob("*") if path.is_file()]
    changes = {str(path.relative_to(folder / "files")): path.read_bytes() for path in files}
    return worker.run(case["parser"], Case(changes, case["exact"]))


@click.command()
@click.option("--minutes", type=float, default=1.0, show_default=True, help="How long.")
@click.option("--parser", "names", multiple=True, type=click.Choice(sorted(PARSERS)), help="Only this one; repeatable.")
@click.option("--seed", type=int, default=0, show_default=True, help="Decides the cases.")
@click.option("--out", type=click.Path(path_type=Path), default="fuzz-findings", show_default=True)
@click.option(
    "--systematic", "fixed", is_flag=True, help="Run the fixed sets of damage instead, however long it takes."
)
@click.option("--replay", "again", type=click.Path(path_type=Path, exists=True), help="Run a kept finding again.")
def main(minutes, names, seed, out, fixed, again):
    """Feed every parser with files that a stranger may have made. Exit status 1 if there are findings."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="videorep-fuzz-") as scratch:
        worker = Worker(Path(scratch))
        try:
            if again:
                verdict = replay(again, worker)
                click.echo(f"{verdict.kind}: {verdict.detail} ({verdict.seconds} s, {verdict.mebibytes} MiB)")
                sys.exit(verdict.kind in FINDINGS)
            out.mkdir(parents=True, exist_ok=True)
            findings = Findings(out)
            with contextlib.suppress(KeyboardInterrupt):  # what was seen until then is told all the same
                if fixed:
                    systematic(worker, findings)
                else:
                    fuzz(names or sorted(PARSERS), minutes, seed, worker, findings)
        finally:
            worker.stop()
    lines = list(findings.table((time.monotonic() - began) / 60))
    (out / "summary.txt").write_text("\n".join(lines) + "\n")
    click.echo("\n".join(lines))
    sys.exit(bool(findings.kept))


if __name__ == "__main__":
    main()
