"""Trains on one device and on two of one process, and writes the figures: `python mirrored_training.py PERCEPTS DIR`.

Prints JSON: {case: {strategy: [the loss of every step]}}.
"""

import dataclasses
import json
import sys

from videorep.quiet import load_tensorflow, silence_tensorflow


def changed(config, **training):
    return dataclasses.replace(config, training=dataclasses.replace(config.training, **training))


def cases(percepts, init):
    from job_building import finetune_config, pretrain_config

    steps = {"steps": 6, "batch_size": 4, "report_every": 1}
    composite = changed(pretrain_config(percepts), **steps)
    classifier = changed(finetune_config(percepts, init), **steps)
    still = dataclasses.replace(classifier, model=dataclasses.replace(classifier.model, dropout=0.0))
    yield "composite", composite
    yield "bfloat16", changed(composite, precision="mixed_bfloat16")
    yield "float16", changed(composite, precision="mixed_float16", optimizer="bounded-rmsprop")
    yield "clipped", changed(composite, clip_norm=1e-3, optimizer="adam", weight_decay=0.1)
    yield (
        "scheduled",
        changed(
            dataclasses.replace(composite, model=dataclasses.replace(composite.model, conditional=("future",))),
            feeding="scheduled",
        ),
    )
    yield "classifier", dataclasses.replace(changed(still, evaluate_every=0), encoder_rate=0.5)
    yield "dropout", classifier


def main(percepts, folder):
    silence_tensorflow()
    load_tensorflow()
    import tensorflow as tf
    from job_building import pretrain_composite

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    from videorep.config import PretrainConfig
    from videorep.runs import load_run
    from videorep.training.finetune import finetune
    from videorep.training.pretrain import pretrain

    init, figures = pretrain_composite(percepts, f"{folder}/init"), {}
    for name, config in cases(percepts, init):
        for strategy in ("one", "mirrored"):
            out = f"{folder}/{name}-{strategy}"
            train = pretrain if isinstance(config, PretrainConfig) else finetune
            train(config, out, strategy=strategy)
            figures.setdefault(name, {})[strategy] = [report["loss"] for report in load_run(out).metrics()]
            load_run(out).model()
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
