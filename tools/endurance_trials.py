"""What tools/endurance does to commands: kills them, gives them too small a disk, starts several at once."""

import contextlib
import functools
import os
import re
import signal
import subprocess
import time

from endurance_contents import compare, describe, find_broken_versions, find_faults
from endurance_jobs import POLL_SECONDS, VIDEOREP, end_stragglers, processes_of, watch

PAGE = os.sysconf("SC_PAGE_SIZE")
ROOMY = 1 << 21  # pages
TRIES = 8  # for a trial to hit the work
FULL = re.compile(r"\bspace\b|\broom\b|full disk", re.IGNORECASE)
UNWANTED = re.compile(r"Traceback|defect|tensorflow/|OP_REQUIRES")
KILLED = re.compile(r"its end by SIGKILL")
BUSY = re.compile(r"another process is writing")
OCCUPIED = re.compile(r"holds (a run|finished shards)|exists|is finished")
AFTERWARDS = {"shards": "dataset.json", "run": "model.keras", "versions": "[0-9]*"}  # there once the work is done


def kill(workspace, job, generator):
    """Kills a command at a random moment of its work, in one of four trials its resumption too, then lets it finish.

    Half of the moments are random in time, half lie just after a random change of the folder: a rename is over in no
    time.

    Returns:
        (what was done, sentences about what is wrong).
    """
    reference = workspace.reference(job)
    for _ in range(TRIES):
        out = workspace.prepare(job, workspace.folder / "trials" / job.name)
        words, faults = kill_once(workspace, job, out, (), *draw_moment(reference, generator))
        if words:
            break
    else:
        return "not killed", [f"it ended before {TRIES} moments that should lie within its work"]
    if generator.random() < 0.25:
        again, more = kill_once(workspace, job, out, job.resume, *draw_moment(reference, generator))
        words, faults = f"{words}, then {again or 'not before its end'}", faults + more
    return f"killed {words}", faults + finish(workspace, job, out, reference)


def kill_check(workspace, job, generator):
    """Kills the process in which an export is tried, at a random moment: no version may come of it, and it is said.

    Returns:
        (what was done, sentences about what is wrong).
    """
    reference = workspace.reference(job)
    for _ in range(TRIES):
        out = workspace.prepare(job, workspace.folder / "trials" / job.name)
        before, process = describe(out), workspace.start(job, out)
        while process.poll() is None and len(processes_of(process.pid)) < 2:
            time.sleep(0.05)
        delay = generator.uniform(0, reference.seconds / 2)
        time.sleep(delay)
        for number in set(processes_of(process.pid)) - {process.pid}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        if process.wait():
            break
    else:
        return "its check not killed", [f"it ended before {TRIES} moments that should lie within its check"]
    faults = find_faults_of_error(process.returncode, workspace.said(job.name), KILLED)
    faults += compare(describe(out), before)
    return f"its check killed after {delay:.2f} s", faults + finish(workspace, job, out, reference)


def draw_moment(reference, generator):
    """(changes of the folder to wait for, seconds to wait then)."""
    if generator.random() < 0.5:
        return 1, generator.uniform(0, reference.seconds)
    return generator.integers(1, reference.changes, endpoint=True), generator.uniform(0, 5 * POLL_SECONDS)


def kill_once(workspace, job, out, options, change, delay):
    """Starts a command and kills it; returns (when, "" if it ended first, and sentences about what is wrong)."""
    process, reached = workspace.start(job, out, *options), None
    for seen in watch(process, out):
        if reached is None and seen >= change:
            reached = time.monotonic()
        if reached is not None and time.monotonic() - reached >= delay:
            process.kill()
    faults = [f"{left} of its processes went on"] if (left := end_stragglers(process.pid)) else []
    if process.returncode not in (0, -signal.SIGKILL):
        faults.append(f"exit status {process.returncode}: {last_line(workspace.said(job.name))}")
    if job.kind == "versions":
        faults += find_broken_versions(out, workspace.reference(job).folder)
    return f"{delay:.2f} s after change {change}" if process.returncode else "", faults


def finish(workspace, job, out, reference):
    """Gives the command again until its end; sentences about an end that is not the reference's."""
    status = workspace.start(job, out, *job.resume).wait()
    if status:
        return [f"going on ended with exit status {status}: {last_line(workspace.said(job.name))}"]
    return find_faults(job, out, reference.folder)


def last_line(text):
    return (text.strip().splitlines() or ["no message"])[-1]


def disk_full(workspace, job, generator):
    """Gives a command a disk that is too small, looks at what it says, enlarges the disk and lets it finish.

    Returns:
        (what was done, sentences about what is wrong).
    """
    reference = workspace.reference(job)
    pages = draw_pages(measure_pages(workspace, job), generator)
    for _ in range(TRIES):
        with disk(workspace.folder / "disk") as place:
            out = workspace.prepare(job, place / job.name)
            limit(place, pages)
            status = workspace.start(job, out).wait()
            if status == 0 and pages:  # what it needed at its peak is not the same every time
                pages //= 2
                continue
            faults = find_faults_of_error(status, workspace.said(job.name), FULL)
            if job.kind == "versions":
                faults += find_broken_versions(out, reference.folder)
            limit(place, ROOMY)
            return f"{pages * PAGE:,} bytes of disk", faults + finish(workspace, job, out, reference)
    return f"{pages * PAGE:,} bytes of disk", ["it needs less than that"]


def draw_pages(needed, generator):
    """How many pages to give: below what is needed, evenly or by order of magnitude, for most files are small."""
    share = generator.random()
    return int(needed * share if generator.random() < 0.5 else needed**share - 1)


@functools.cache
def measure_pages(workspace, job):
    """How many pages of disk a job needs at its peak."""
    with disk(workspace.folder / "disk") as place:
        out = workspace.prepare(job, place / job.name)
        before, peak = used_pages(place), 0
        for _ in watch(workspace.start(job, out), out):
            peak = max(peak, used_pages(place) - before)
    return peak


@contextlib.contextmanager
def disk(place):
    """Mounts a roomy disk in memory at `place`, which it yields; one page is used, since a limit of 0 means none."""
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"nr_blocks={ROOMY}", "endurance", place], check=True)
    try:
        (place / "used").write_bytes(bytes(PAGE))
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)  # at a Ctrl-C the command may still write there


def used_pages(place):
    """How many pages of a disk are in use."""
    status = os.statvfs(place)
    return status.f_blocks - status.f_bfree


def limit(place, pages):
    """Lets a disk have so many free pages."""
    subprocess.run(["mount", "-o", f"remount,nr_blocks={used_pages(place) + pages}", place], check=True)


def find_faults_of_error(status, text, *wanted):
    """Sentences about an end that is not exit status 1 and one sentence in which one of the patterns occurs."""
    faults = [] if status == 1 else [f"exit status {status}"]
    if unwanted := UNWANTED.search(text):
        faults.append(f"its message holds {unwanted[0]!r}")
    lines = text[text.rfind("Error: ") :].strip().splitlines() or ["nothing"]
    if len(lines) > 1 or not lines[0].startswith("Error: ") or not any(each.search(lines[0]) for each in wanted):
        faults.append(f"its message is: {' / '.join(lines)}")
    return faults


def contend(workspace, job, processes, options, generator):
    """Starts a command several times at once on one folder, half of the trials in quick succession.

    Returns:
        (what was done, sentences about what is wrong).
    """
    reference = workspace.reference(job)
    out = workspace.prepare(job, workspace.folder / "trials" / job.name)
    spread = reference.seconds if generator.random() < 0.5 else 0
    ended = run_together(workspace, job, out, options, generator.uniform(0, spread, processes))
    faults = []
    for status, text, done in ended:
        if status:
            faults += find_faults_of_error(status, text, *([BUSY, OCCUPIED] if done else [BUSY]))
    winners = sum(status == 0 for status, _, _ in ended)
    if winners == 0 or (winners > 1 and not options and job.kind != "versions"):
        faults.append(f"{winners} of {processes} did it")
    if job.name == "export" and winners != len(list(out.glob("[0-9]*"))):
        faults.append(f"{winners} said that they made a version, {len(list(out.glob('[0-9]*')))} are there")
    faults += find_faults(job, out, reference.folder) + verify(workspace, job, out)
    words = f"{processes} processes {' '.join(options)}".strip()
    return f"{words}: {winners} did it, {processes - winners} said why not", faults


def run_together(workspace, job, out, options, delays):
    """Starts a command once after each delay; returns [(exit status, what it said, was the work done by then), ...]."""
    begun, running, ended, waiting = time.monotonic(), {}, [], sorted(enumerate(delays), key=lambda pair: pair[1])
    while waiting or running:
        while waiting and time.monotonic() - begun >= waiting[0][1]:
            number, _ = waiting.pop(0)
            running[number] = workspace.start(job, out, *options, log=f"{job.name}-{number}")
        for number in [number for number, process in running.items() if process.poll() is not None]:
            done = any(out.glob(AFTERWARDS[job.kind]))
            ended.append((running.pop(number).returncode, workspace.said(f"{job.name}-{number}"), done))
        time.sleep(POLL_SECONDS)
    return ended


def verify(workspace, job, out):
    """What `videorep verify` finds wrong with shards."""
    if job.kind != "shards":
        return []
    result = subprocess.run([*VIDEOREP, "verify", out], cwd=workspace.folder, capture_output=True, text=True)
    return [f"verify: {last_line(result.stderr)}"] if result.returncode else []
