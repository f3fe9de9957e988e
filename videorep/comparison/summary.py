"""What a comparison found: the table, its tests, and one sentence of advice."""

from videorep.comparison.protocol import make_folds
from videorep.comparison.statistics import holm, interval, paired_test
from videorep.comparison.streams import FUSED, stream_names

MAJORITY, REFERENCE, HALVES, SINGLE = "majority", "mean-pooled", "mean-pooled halves", "single-frame"
RANDOM, FINETUNED = "random weights", "finetuned"
SIGNIFICANT = 0.05
NO_FOLDS = "a class has training videos of one recording only: no settings could be chosen, the usual ones were taken"


def summarise(config, videos, counts, measured):
    """What `videorep.comparison.compare` returns.

    Args:
        config: CompareConfig.
        videos: LabelledVideos.
        counts: Numbers of labelled videos per class.
        measured: {(contender, number of labels): what `videorep.comparison.protocol.measure` gave}.
    """
    names = list(dict.fromkeys(name for name, _ in measured))
    streams = [*stream_names(config), FUSED]
    labels = videos.labels[videos.test]
    correct = {key: each["probabilities"].argmax(-1) == labels for key, each in measured.items()}
    results = []
    for (name, count), right in correct.items():
        accuracies, each = right.mean(1), measured[name, count]
        results.append(
            {
                "contender": name,
                "videos_per_class": count,
                "accuracies": accuracies.tolist(),
                "mean": float(accuracies.mean()),
                "deviation": float(accuracies.std(ddof=1)) if len(accuracies) > 1 else None,
                "interval": interval(right, config.seed),
                "settings": each["settings"],
                "choice_accuracy": each["choice_accuracy"],
                "seconds": each["seconds"],
            }
        )
    tests = [test for count in counts for test in _tests(names, streams, count, correct)]
    seconds = {row["contender"]: 0.0 for row in results}
    for row in results:
        seconds[row["contender"]] += row["seconds"]["choice"] + config.draws * row["seconds"]["draw"]
    return {
        "data": config.data,
        **{key: getattr(config, key) for key in ("draws", "trials", "seed", "units", "pretrain_steps")},
        "streams": streams if len(streams) > 1 else [],
        "classes": list(videos.classes),
        "training_videos": len(videos.training),
        "test_videos": len(labels),
        "results": results,
        "tests": tests,
        "advice": advise(results, tests, counts),
        "shares": {name: each / max(sum(seconds.values()), 1e-9) for name, each in seconds.items()},
        "warnings": [] if make_folds(videos, config.seed) else [NO_FOLDS],
        "answers": {name: measured[name, 0]["probabilities"].argmax(-1).tolist() for name in names},
        "test_labels": labels.tolist(),
        "test_paths": [videos.paths[number] for number in videos.test],
    }


def _tests(names, streams, count, correct):
    """Each contender against mean-pooled percepts, of DATA and of its own stream, each finetuned one against random
    weights of its stream; corrected by Holm."""
    pairs = []
    for name in names:
        suffix = next((f", {stream}" for stream in streams if name.endswith(f", {stream}")), "")
        kind = name.removesuffix(suffix)
        others = [REFERENCE, REFERENCE + suffix] + [RANDOM + suffix] * kind.endswith(FINETUNED)
        pairs += [(name, other) for other in dict.fromkeys(others) if other != name and kind != MAJORITY]
    ps = [paired_test(correct[a, count], correct[b, count]) for a, b in pairs]
    return [
        {
            "a": a,
            "b": b,
            "videos_per_class": count,
            "difference": float(correct[a, count].mean() - correct[b, count].mean()),
            "p": p,
            "p_corrected": corrected,
        }
        for (a, b), p, corrected in zip(pairs, ps, holm(ps), strict=True)
    ]


def advise(results, tests, counts):
    """One sentence: which contender to use with how many labels, and whether more than chance speaks for it."""
    parts = {}
    for count in counts:
        of = {row["contender"]: row["mean"] for row in results if row["videos_per_class"] == count}
        better = [t for t in tests if t["b"] == REFERENCE and t["videos_per_class"] == count and t["difference"] > 0]
        sure = [test for test in better if test["p_corrected"] <= SIGNIFICANT]
        winner = max(sure, key=lambda test: test["difference"])["a"] if sure else REFERENCE
        ahead = f", mean-pooled {of[REFERENCE]:.1%}" if sure else ""
        parts.setdefault(winner, []).append(f"{count or 'all'}: {of[winner]:.1%}{ahead}")
    sentences = [
        f"use {name}{_why(name)} (by labelled videos per class: {', '.join(figures)})"
        for name, figures in parts.items()
    ]
    return "On these data " + "; ".join(sentences) + "."


def _why(name):
    if name == REFERENCE:
        return " percepts and logistic regression, beside which nothing else is better by more than chance"
    return f", better than mean-pooled percepts by more than chance (p at most {SIGNIFICANT}, corrected)"
