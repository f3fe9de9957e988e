"""What tools/benchmark_training.py compares: videorep and its PyTorch peers, each in a process of its own.

Every contender trains the same model (a composite, unconditioned decoders, the first frame read off the copied state)
on the same bytes, with SGD with momentum and global-norm clipping. A contender is a function of `Task` that prepares
everything and returns a function that runs n steps and returns when they are done.
"""

import dataclasses
import importlib
import itertools
import json
import resource
import sys
import time

import numpy as np

LEARNING_RATE, MOMENTUM, CLIP_NORM = 1e-4, 0.9, 100.0


@dataclasses.dataclass(frozen=True)
class Task:
    """What is run: sizes as in `videorep.models.build_model`, the precision of the products, and the mode.

    "training" is whole training steps; "inference" goes from frames to predicted frames, without gradients.
    """

    units: int = 2048
    layers: int = 1
    features: int = 4096
    input_frames: int = 10
    future_frames: int = 10
    batch_size: int = 32
    precision: str = "float32"
    mode: str = "training"

    def frames(self):
        """(B, T + F, D) uint8, about as many bright pixels as Moving MNIST has."""
        shape = (self.batch_size, self.input_frames + self.future_frames, self.features)
        return (np.random.default_rng(0).random(shape) < 0.05).astype(np.uint8) * 255

    def products(self):
        """The matrix products of one step: [((m, k, n), how often)]."""
        batch, total = self.batch_size, []

        def product(rows, below, above, *, times=1, needs_input_gradient=True):
            """An affine map of `rows` rows; its two gradients where it is trained, by the weights in one product."""
            total.append(((rows, below, above), times))
            if self.mode == "training":
                total.append(((below, rows * times, above), 1))
                if needs_input_gradient:
                    total.append(((rows, above, below), times))

        branches = ((self.input_frames, True), (self.input_frames - 1, False), (self.future_frames - 1, False))
        for steps, is_encoder in branches:
            for layer in range(self.layers):
                if layer > 0:
                    product(steps * batch, self.units, 4 * self.units)
                elif is_encoder:
                    product(steps * batch, self.features, 4 * self.units, needs_input_gradient=False)
                product(batch, self.units, 4 * self.units, times=steps)
        for frames in (self.input_frames, self.future_frames):
            product(frames * batch, self.units, self.features)
        return total

    def operations(self):
        """Floating-point operations of the products of one step or call."""
        return sum(2 * m * k * n * times for (m, k, n), times in self.products())


def videorep_step(task):
    """The project's own training step, or its model as a server calls it."""
    import tensorflow as tf

    from videorep.models import build_model

    precision = "float32" if task.precision == "float32" else f"mixed_{task.precision}"
    model = build_model(
        "composite", task.features, (task.units,) * task.layers, task.input_frames, task.future_frames,
        seed=0, dtype=precision,
    )  # fmt: skip
    frames = tf.constant(task.frames())
    if task.mode == "training":
        loop, batch = videorep_loop(task, model, precision), {"frames": frames}
        step = lambda: loop.train_step(batch)["loss"]  # noqa: E731
    else:
        inputs = tf.cast(frames[:, : task.input_frames], "float32") / 255
        call = tf.function(lambda frames: model({"frames": frames}))
        step = lambda: call(inputs)["future"][0, -1, 0]  # noqa: E731

    def run_steps(count):
        for _ in range(count):
            last = step()
        return float(last)

    return run_steps


def videorep_loop(task, model, precision):
    """The training loop, its run in a temporary folder."""
    import tempfile

    from videorep.config import PretrainConfig, PretrainTrainingConfig
    from videorep.runs import create_run
    from videorep.training.loop import TrainingLoop
    from videorep.training.objectives import encoder_decoder_objective

    training = PretrainTrainingConfig(
        steps=10**6, batch_size=task.batch_size, optimizer="sgd", learning_rate=LEARNING_RATE, precision=precision
    )
    run = create_run(tempfile.mkdtemp(), PretrainConfig(training=training), overwrite=True)
    return TrainingLoop(model, encoder_decoder_objective(model), training, run)


def matrix_products(task):
    """The products of a step alone in one graph, same shapes and precision: TensorFlow's limit.

    Every product has a first operand of its own, or the graph would run equal ones once.
    """
    import tensorflow as tf

    dtype, rights, pairs = tf.as_dtype(task.precision), {}, []
    for (m, k, n), times in task.products():
        rights.setdefault((k, n), tf.cast(tf.random.normal((k, n)), dtype))
        pairs += [(tf.cast(tf.random.normal((m, k)), dtype), rights[k, n]) for _ in range(times)]

    @tf.function
    def products(pairs):
        return tf.add_n([tf.cast(tf.matmul(left, right)[0, 0], tf.float32) for left, right in pairs])

    def run_steps(count):
        for _ in range(count):
            last = products(pairs)
        return float(last)

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

    def predict(frames):
        with autocast:
            return [torch.sigmoid(each.float()) for each in model(frames)]

    if compiled:
        loss_of, predict = torch.compile(loss_of), torch.compile(predict)
    inputs = frames[:, : task.input_frames].float() / 255

    @torch.no_grad()
    def run_predictions(count):
        for _ in range(count):
            _, future = predict(inputs)
        return float(future[0, -1, 0])

    def run_steps(count):
        for _ in range(count):
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(frames)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
            optimizer.step()
        return float(loss)

    return run_steps if task.mode == "training" else run_predictions


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


def peak_bytes():
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def serve(name, task):
    """Answers on standard output: first when ready, then for every line "n" of standard input after n steps."""
    begun = time.monotonic()
    importlib.import_module("torch" if "orch" in name else "tensorflow")
    import_bytes = peak_bytes()
    run_steps = CONTENDERS[name](task)
    run_steps(1)
    print(json.dumps({"ready": time.monotonic() - begun, "import_bytes": import_bytes}), flush=True)
    for line in sys.stdin:
        begun = time.monotonic()
        run_steps(int(line))
        print(json.dumps({"seconds": time.monotonic() - begun, "peak_bytes": peak_bytes()}), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], Task(**json.loads(sys.argv[2])))
