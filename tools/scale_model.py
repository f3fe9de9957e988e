"""What 300, 30,000 and 30 million hours of video take: bytes, shards, core-hours, device-hours, network, failures.

    python tools/scale_model.py --measure rates.json --videos VIDEOS --backbone efficientnet_lite0_features.keras
    python tools/scale_model.py --rates rates.json

The first measures what this machine does at three sizes; the second compares the model with that, ends with status 1
where they differ by more than 15 %, and else goes on to larger sizes. Everything that was not measured is in
`Assumptions`, and can be set. docs/scaling.md says what follows.
"""

import argparse
import dataclasses
import json
import math
import sys
import tempfile
from pathlib import Path

from scale_rates import BATCH, FRAMES, FUTURE, UNITS, check_rates, fit_line, measure_rates
from scale_simulation import Cluster, expected_seconds, simulate

HOURS = 300, 30_000, 30_000_000
RECORD_BYTES = 40 + 24 + 310  # of the two tables, and of the usual line, of a record
INDEX_BYTES = 56 + 80  # of memory for a record: its row of the index, its windows and their order
SIMULATED = 20_000  # shards at most
HOPELESS = 5.0  # failures expected during the work on one shard, of which e**5 attempts to one would succeed


@dataclasses.dataclass(frozen=True)
class Assumptions:
    """What was not measured here.

    Args:
        fps, clip_seconds: Of the videos, and of the pieces that become records.
        features, units, layers, batch: Of the paper's model on fc6 of VGG-16.
        stride: Frames between the windows that an epoch sees.
        epochs: Of pretraining.
        frame_flops: Of the convnet, VGG-16 up to fc6.
        device_flops: What an accelerator does of products in bfloat16, per second: a third of an H100's peak.
        device_memory, link: Bytes per second of its memory, and from one to the others: 3.3 TB, 400 Gbit.
        cores, devices: How many work at once.
        shard_bytes: Of a shard of percepts.
        bandwidth: Bytes per second of the storage, for all.
        hashing: Bytes per second that SHA-256 takes on one core.
        failures_per_hour, restart_seconds: Of a worker; one in a day, and five minutes.
        stragglers, slowness: Share of the workers that take so many times as long.
        checkpoint_seconds: Between two checkpoints.
        core_price, device_price: Per hour, in dollars.
    """

    fps: float = 30.0
    clip_seconds: float = 10.0
    features: int = 4096
    units: int = 2048
    layers: int = 2
    batch: int = 32
    stride: int = 8
    epochs: float = 1.0
    frame_flops: float = 30.9e9
    device_flops: float = 330e12
    device_memory: float = 3.3e12
    link: float = 50e9
    cores: int = 1000
    devices: int = 64
    shard_bytes: float = 1e9
    bandwidth: float = 10e9
    hashing: float = 2e9
    failures_per_hour: float = 1 / 24
    restart_seconds: float = 300.0
    stragglers: float = 0.02
    slowness: float = 3.0
    checkpoint_seconds: float = 600.0
    core_price: float = 0.04
    device_price: float = 3.0

    def faults(self):
        """A sentence on each value that makes no sense."""
        may_be_zero = {"failures_per_hour", "restart_seconds", "stragglers", "core_price", "device_price"}
        for name, value in dataclasses.asdict(self).items():
            bound = "from 0 on" if name in may_be_zero else "above 0"
            if not (0 < value < math.inf or (value == 0 and name in may_be_zero)):
                yield f"expected {name} {bound}, received {value}"
        if self.stragglers > 1:
            yield f"expected stragglers, a share, up to 1, received {self.stragglers}"


def step_flops(features, units, layers, batch, frames, future):
    """Operations of the matrix products of one step of a composite: forward, and back for weights and inputs.

    A product of a (B, K) with a (K, N) matrix has 2 B K N operations; back it needs two of the size, but one where its
    input is the data. The encoder sees `frames` frames; the decoders, of `frames` and `future` frames, see only their
    state, each layer above the first the one below, and have an output layer.
    """
    recurrent, between = 4 * units * units, 4 * units * units * (layers - 1)
    encoder = frames * (layers * recurrent + between)
    decoders = (frames + future) * (layers * recurrent + between + units * features)
    data = frames * 4 * units * features
    return 2 * batch * (3 * (encoder + decoders) + 2 * data)


def estimate(hours, rates, assumed):
    """What so many hours take, {stage: {what: number}}: bytes, hours of cores and of devices, seconds, dollars."""
    frames = hours * 3600 * assumed.fps
    records = hours * 3600 / assumed.clip_seconds
    stages = {"dataset": {"frames": frames, "records": records, "table bytes": records * RECORD_BYTES}}
    for stage in ("clips", "percepts"):
        measured = rates[stage]
        _, each = fit_line([row["size"] for row in measured], [row["core_seconds"] for row in measured])
        stages[stage] = {"core hours": frames * each / 3600, "dollars": frames * each / 3600 * assumed.core_price}
    stages["clips"]["bytes"] = frames * rates["clips"][-1]["bytes_per_frame"]
    stored = frames * assumed.features * 2
    seen = frames * assumed.frame_flops / assumed.device_flops / 3600
    stages["percepts"] |= {"bytes": stored, "shards": math.ceil(stored / assumed.shard_bytes)}
    stages["percepts"] |= {"device hours, VGG-16": seen, "dollars, VGG-16": seen * assumed.device_price}
    stages["pretrain"] = _estimate_training(frames, rates, assumed)
    stages["start"] = {
        "hours of hashing, one core": stored / assumed.hashing / 3600,
        "index in memory, bytes": records * INDEX_BYTES,
    }
    return stages


def _estimate_training(frames, rates, assumed):
    size = assumed.features, assumed.units, assumed.layers, assumed.batch, FRAMES, FUTURE
    flops, steps = step_flops(*size), frames / assumed.stride / assumed.batch * assumed.epochs
    own = step_flops(rates["features"], UNITS, 1, BATCH, FRAMES, FUTURE)
    measured = rates["pretrain"]
    _, each = fit_line([row["size"] for row in measured], [row["core_seconds"] for row in measured])
    read = assumed.batch * (FRAMES + FUTURE) * assumed.features * 2
    weights = 4 * assumed.units * (assumed.features + (2 * assumed.layers - 1) * assumed.units)
    weights += 2 * (4 * assumed.units * (2 * assumed.layers - 1) * assumed.units + assumed.units * assumed.features)
    # Every frame reads the weights afresh, 2 bytes for what is 2 operations of one sequence.
    alone = max(flops / assumed.device_flops, step_flops(*size[:3], 1, *size[4:]) / assumed.device_memory)
    exchanged = 2 * 4 * weights * (assumed.devices > 1)
    together = max(alone, exchanged / assumed.link)
    hours = steps * together / 3600
    interval = assumed.checkpoint_seconds
    passed = expected_seconds(interval, assumed.failures_per_hour * assumed.devices, assumed.restart_seconds)
    return {
        "steps of one device": steps,
        "core hours, as measured": steps * each * flops / own / 3600,
        "seconds of a step, one device": alone,
        "seconds of a step, with the exchange of gradients": together,
        "device hours, one device": steps * alone / 3600,
        "device hours, all devices": hours,
        "days on all devices, with failures": hours / assumed.devices * passed / interval / 24,
        "share of work that counts": interval / passed,
        "bytes read per step": read,
        "bytes read per second, all devices": read / together * assumed.devices,
        "bytes exchanged per step and device": exchanged,
        "dollars per million steps": together * 1e6 / 3600 * assumed.device_price,
        "dollars": hours * passed / interval * assumed.device_price,
    }


def simulate_build(stage, shards, core_hours, size, assumed):
    """Building so many shards on all cores, by either way of handing them out; more shards count in proportion."""
    several = min(shards, SIMULATED)
    each = core_hours * 3600 / shards
    chosen = {field.name: getattr(assumed, field.name) for field in dataclasses.fields(Cluster) if field.name in _KEYS}
    found = {}
    if assumed.failures_per_hour / 3600 * each * assumed.slowness > HOPELESS:
        return {f"{stage}, taken: days (no worker lives as long as a shard takes)": math.inf}
    for name, dealt in (("taken", False), ("dealt", True)):
        cluster = Cluster(min(assumed.cores, several), dealt=dealt, **chosen)
        told = simulate(cluster, several, each, size / shards)
        found[f"{name}: days"] = told["seconds"] / 86400 * shards / several
        found[f"{name}: share of the workers' time that counts"] = told["busy"]
    return {f"{stage}, {what}": value for what, value in found.items()}


_KEYS = ("failures_per_hour", "restart_seconds", "stragglers", "slowness", "bandwidth")


def find_limits(stages, assumed):
    """What is in the way at a size, the worst first: (how many times over what is bearable, words)."""
    start, training, shards = stages["start"], stages["pretrain"], stages["percepts"]["shards"]
    limits = [
        (start["hours of hashing, one core"] / 8 / 1, "hashing every shard before the first training: 1 h on 8 cores"),
        (start["index in memory, bytes"] / 2**36, "the index of a split in memory: 64 GiB"),
        (training["bytes read per second, all devices"] / assumed.bandwidth, "reading percepts: the storage"),
        (shards / 1e6, "names in one folder: a million"),
        (
            stages["dataset"]["records"] / 1e7,
            "sources in the memory of the one process that plans and ends a build: 1e7",
        ),
        (
            training["seconds of a step, with the exchange of gradients"] / training["seconds of a step, one device"],
            "exchanging gradients: as long as a step",
        ),
        (training["days on all devices, with failures"] / 30, f"an epoch on {assumed.devices} devices: 30 days"),
        (stages["clips"]["core hours"] / assumed.cores / 720, f"decoding on {assumed.cores} cores: 30 days"),
        (stages["percepts"]["bytes"] / 1e15, "percepts stored: a petabyte"),
    ]
    return sorted(limits, reverse=True)


def read_rates(path, parser):
    """What `--measure` wrote; ends the program in one sentence where it is not that."""
    try:
        rates = json.loads(path.read_text())
        check_rates(rates)
        _ = rates["features"], [rates[stage][-1]["bytes_per_frame"] for stage in ("clips", "percepts")]
    except (OSError, ValueError, LookupError, TypeError) as error:
        parser.error(f"expected rates that --measure wrote in {path}, received: {type(error).__name__}: {error}")
    return rates


def _print(title, facts):
    print(f"\n{title}")
    for name, value in facts.items():
        print(f"  {name:52} {value:16,.3f}" if value < 1000 else f"  {name:52} {value:16,.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", type=Path, metavar="JSON", help="measure, and write the rates")
    parser.add_argument("--videos", type=Path)
    parser.add_argument("--backbone", default="efficientnet_lite0_features.keras")
    parser.add_argument("--rates", type=Path, metavar="JSON", help="the rates to go by")
    assumptions = parser.add_argument_group("assumptions", "What they mean is told above `class Assumptions`.")
    for field in dataclasses.fields(Assumptions):
        option = f"--{field.name.replace('_', '-')}"
        assumptions.add_argument(option, type=field.type, default=field.default, help="default: %(default)s")
    args = parser.parse_args()
    assumed = Assumptions(**{field.name: getattr(args, field.name) for field in dataclasses.fields(Assumptions)})
    for fault in assumed.faults():
        parser.error(fault)
    if args.measure and not args.videos:
        parser.error("expected --videos FOLDER beside --measure, received none")
    if args.measure:
        with tempfile.TemporaryDirectory() as folder:
            rates = measure_rates(args.videos, args.backbone, Path(folder) / "measured")
        args.measure.write_text(json.dumps(rates, indent=2) + "\n")
    if not (args.rates or args.measure):
        parser.error("--measure or --rates is needed")
    rates = read_rates(args.rates or args.measure, parser)
    rows, close = check_rates(rates)
    print(f"{'stage':10} {'size':>16} {'measured/s':>12} {'modelled/s':>12} {'ratio':>7} {'unseen':>7}")
    for row in rows:
        cells = f"{row['measured']:12.2f} {row['modelled']:12.2f} {row['ratio']:7.3f} {row['unseen']:7.3f}"
        print(f"{row['stage']:10} {row['size']:>16} {cells}")
    print("all within 15 %" if close else "not all within 15 %: nothing is extrapolated")
    if not close:
        return 1
    for hours in HOURS:
        stages = estimate(hours, rates, assumed)
        print(f"\n==== {hours:,} hours")
        for stage, facts in stages.items():
            _print(stage, facts)
        percepts = stages["percepts"]
        for stage in ("clips", "percepts"):
            told = stages[stage]
            _print("simulated", simulate_build(stage, percepts["shards"], told["core hours"], told["bytes"], assumed))
        _print("times over what is bearable", {words: times for times, words in find_limits(stages, assumed)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
