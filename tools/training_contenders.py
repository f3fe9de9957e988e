"""What tools/benchmark_training.py compares: videorep and its PyTorch peers, each in a process of its own.

Every contender trains the same model (a composite, unconditioned decoders, the first frame read off the copied state)
on the same bytes, with SGD with momentum and global-norm clipping. A contender is a function of `Task` that prepares
everything and returns a function that runs n steps and returns when they are done.
"""

import dataclasses
import itertools
import json
import resource
import sys
import time

import numpy as np

LEARNING_RATE, MOMENTUM, CLIP_NORM = 1e-4, 0.9, 100.0


@dataclasses.dataclass(frozen=True)
class Task:
    """What is trained: sizes as in `videorep.models.build_model`, and the precision of the products."""

    units: int = 2048
    layers: int = 1
    features: int = 4096
    input_frames: int = 10
    future_frames: int = 10
    batch_size: int = 32
    precision: str = "float32"

    def frames(self):
        """(B, T + F, D) uint8, about as many bright pixels as Moving MNIST has."""
        shape = (self.batch_size, self.input_frames + self.future_frames, self.features)
        return (np.random.default_rng(0).random(shape) < 0.05).astype(np.uint8) * 255

    def products(self):
        """The matrix products of one training step: [((m, k, n), how often)]."""
        batch, total = self.batch_size, []

        def product(m, k, n, times=1):
            total.append(((m, k, n), times))

        branches = ((self.input_frames, True), (self.input_frames - 1, False), (self.future_frames - 1, False))
        for steps, is_encoder in branches:
            rows = steps * batch
            for layer in range(self.layers):
                if is_encoder or layer > 0:
                    below = self.features if layer == 0 else self.units
                    product(rows, below, 4 * self.units)
                    product(below, rows, 4 * self.units)
                    if layer > 0:
                        product(rows, 4 * self.units, below)
                product(batch, self.units, 4 * self.units, steps)
                product(batch, 4 * self.units, self.units, steps)
                product(self.units, rows, 4 * self.units)
        for frames in (self.input_frames, self.future_frames):
            rows = frames * batch
            product(rows, self.units, self.features)
            product(self.units, rows, self.features)
            product(rows, self.features, self.units)
        return total

    def operations(self):
        """Floating-point operations of the products of one step."""
        return sum(2 * m * k * n * times for (m, k, n), times in self.products())


def videorep_step(task):
    """The project's own training step."""
    import tempfile

    import tensorflow as tf

    from videorep.config import PretrainConfig, TrainingConfig
    from videorep.models import build_model
    from videorep.runs import create_run
    from videorep.training.loop import TrainingLoop
    from videorep.training.objectives import encoder_decoder_objective

    precision = "float32" if task.precision == "float32" else f"mixed_{task.precision}"
    training = TrainingConfig(
        steps=10**6, batch_size=task.batch_size, optimizer="sgd", learning_rate=LEARNING_RATE, precision=precision
    )
    model = build_model(
        "composite", task.features, (task.units,) * task.layers, task.input_frames, task.future_frames,
        seed=0, dtype=precision,
    )  # fmt: skip
    run = create_run(tempfile.mkdtemp(), PretrainConfig(training=training), overwrite=True)
    loop = TrainingLoop(model, encoder_decoder_objective(model), training, run)
    batch = {"frames": tf.constant(task.frames())}

    def run_steps(count):
        for _ in range(count):
            parts = loop.train_step(batch)
        return float(parts["loss"])

    return run_steps


def matrix_products(task):
    """The products of a step alone, same shapes and precision: the limit of any implementation on TensorFlow."""
    import tensorflow as tf

    dtype = tf.as_dtype(task.precision)
    operands = {}
    for (m, k, n), times in task.products():
        operands.setdefault((m, k, n), [tf.random.normal((m, k)), tf.random.normal((k, n)), 0])[2] += times
    operands = [(tf.cast(a, dtype), tf.cast(b, dtype), times) for a, b, times in operands.values()]
    product = tf.function(tf.matmul, jit_compile=False)

    def run_steps(count):
        for _ in range(count):
            for a, b, times in operands:
                for _ in range(times):
                    last = product(a, b)
        return float(tf.cast(last[0, 0], tf.float32))

    return run_steps


def torch_step(task, make_layer, compiled):
    """A composite of PyTorch with the given kind of LSTM layer."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(torch.get_num_threads())
    model = _torch_composite(torch, task, make_layer)
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, fused=True)
    frames = torch.from_numpy(task.frames())
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=task.precision == "bfloat16")

    def loss_of(frames):
        frames = frames.float() / 255
        inputs, future = frames[:, : task.input_frames], frames[:, task.input_frames :]
        with autocast:
            logits = model(inputs)
        cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits
        parts = [
            cross_entropy(each.float(), target, reduction="sum") / target.shape[1]
            for each, target in zip(logits, (inputs.flip(1), future), strict=True)
        ]
        return sum(parts) / task.batch_size

    loss_of = torch.compile(loss_of) if compiled else loss_of

    def run_steps(count):
        for _ in range(count):
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(frames)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
            optimizer.step()
        return float(loss)

    return run_steps


def _torch_composite(torch, task, make_layer):
    class Composite(torch.nn.Module):
        def __init__(self):
            super().__init__()
            sizes = [task.features] + [task.units] * task.layers
            below = list(itertools.pairwise(sizes))
            free = [(0 if depth == 0 else size, units) for depth, (size, units) in enumerate(below)]
            make = lambda pairs: torch.nn.ModuleList(make_layer(torch, size, units) for size, units in pairs)  # noqa: E731
            self.encoder, self.decoders = make(below), torch.nn.ModuleList([make(free), make(free)])
            self.outputs = torch.nn.ModuleList(torch.nn.Linear(task.units, task.features) for _ in range(2))

        def forward(self, inputs):
            sequence, states = inputs.transpose(0, 1), []
            for layer in self.encoder:
                sequence, state = layer(sequence, None, len(sequence))
                states.append(state)
            logits = []
            for decoder, output, steps in zip(
                self.decoders, self.outputs, (task.input_frames, task.future_frames), strict=True
            ):
                sequence = None
                for layer, state in zip(decoder, states, strict=True):
                    sequence, _ = layer(sequence, state, steps - 1)
                hiddens = torch.cat([states[-1][0][None].to(sequence.dtype), sequence])
                logits.append(output(hiddens.transpose(0, 1)))
            return logits

    return Composite()


def torch_peephole_layer(torch, size, units):
    """A peephole LSTM with the input product of all steps hoisted; `size` 0: no input."""

    class Peephole(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.project = torch.nn.Linear(size, 4 * units, bias=False) if size else None
            self.recurrent = torch.nn.Linear(units, 4 * units)
            self.peephole = torch.nn.Parameter(torch.zeros(3, units))

        def forward(self, sequence, state, steps):
            projected = None if sequence is None else self.project(sequence)
            if state is None:
                zeros = torch.zeros(sequence.shape[1], units)
                state = (zeros, zeros)
            (h, c), hiddens = state, []
            for t in range(steps):
                z = self.recurrent(h).float()
                if projected is not None:
                    z = z + projected[t]
                i, f, candidate, o = z.chunk(4, dim=1)
                i = torch.sigmoid(i + self.peephole[0] * c)
                f = torch.sigmoid(f + self.peephole[1] * c)
                c = f * c + i * torch.tanh(candidate)
                h = torch.sigmoid(o + self.peephole[2] * c) * torch.tanh(c)
                hiddens.append(h)
            return torch.stack(hiddens), (h, c)

    return Peephole()


def torch_library_layer(torch, size, units):
    """torch.nn.LSTM, which has no peepholes; a layer without input gets one input that is zero."""

    class Library(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(size or 1, units)

        def forward(self, sequence, state, steps):
            if sequence is None:
                sequence = torch.zeros(steps, state[0].shape[0], 1)
            hiddens, (h, c) = self.lstm(sequence, None if state is None else (state[0][None], state[1][None]))
            return hiddens, (h[0], c[0])

    return Library()


CONTENDERS = {
    "videorep": videorep_step,
    "matrix products alone": matrix_products,
    "torch.nn.LSTM (no peepholes)": lambda task: torch_step(task, torch_library_layer, compiled=False),
    "PyTorch peephole": lambda task: torch_step(task, torch_peephole_layer, compiled=False),
    "PyTorch peephole, torch.compile": lambda task: torch_step(task, torch_peephole_layer, compiled=True),
}


def serve(name, task):
    """Answers on standard output: first when ready, then for every line "n" of standard input after n steps."""
    begun = time.monotonic()
    run_steps = CONTENDERS[name](task)
    print(json.dumps({"seconds": time.monotonic() - begun, "loss": run_steps(1), "ready": time.monotonic() - begun}))
    sys.stdout.flush()
    for line in sys.stdin:
        begun = time.monotonic()
        loss = run_steps(int(line))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": time.monotonic() - begun, "loss": loss, "peak_bytes": peak}), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], Task(**json.loads(sys.argv[2])))
