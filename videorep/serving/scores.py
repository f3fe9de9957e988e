"""What `videorep evaluate --json` measured of a run, for its model card: figures, and how sure they are."""

from scipy import stats

from videorep.config_values import read_json
from videorep.data.shards.hashes import hash_file
from videorep.errors import RunError

WANTED, REMEDY = "what videorep evaluate RUN --json FILE wrote", "name such a file with --scores"


def read_scores(paths, run):
    """The scores of a run in files of `videorep evaluate`.

    An accuracy of videos has its 95 % interval (Wilson 1927), which takes videos as independent; predicted frames have
    the standard error that `evaluate` gives.

    Returns:
        [{"split", "data", "over" (how many of what), "figures" ({"of", "name", "value", "uncertainty"}, all text),
        "warnings"}], one per file.
    Raises:
        RunError: a file was not written by `videorep evaluate`, or is of another run or several, as far as it tells.
    """
    return [_read(path, run) for path in paths]


def _read(path, run):
    told = read_json(path, WANTED, REMEDY)
    try:
        of_videos = "accuracy" in told
        figures = _of_videos(told) if of_videos else _of_rows(told)
        over = next(f"{told[unit]:,} {unit}" for unit in ("videos", "sequences", "frames") if unit in told)
        score = {"split": str(told["split"]), "data": [str(each) for each in told.get("data", ())], "over": over}
        fits = _fits(told, of_videos, run)
        warnings = [str(each) for each in told.get("warnings", ())]
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, StopIteration) as error:
        raise RunError(f"expected {WANTED} in {path}, received something else; {REMEDY}") from error
    if not fits:
        raise RunError(
            f"expected the scores of {run.path} alone, received those of others in {path}; evaluate that run"
        )
    return score | {"figures": figures, "warnings": warnings}


def _fits(told, of_videos, run):
    """Whether scores are this run's, as far as they tell: by the model's hash, else by what they are of."""
    if "models" in told:
        return told["models"] == [hash_file(run.model_path)]
    classes = {each["class"] for each in told.get("classes", ())}
    is_classifier = run.config.kind != "pretrain"
    alone = "runs" not in told and (of_videos or bool(classes)) == is_classifier
    return alone and (not is_classifier or classes <= {*run.config.model.classes})


def _of_videos(told):
    videos, accuracy = told["videos"], told["accuracy"]
    low, high = stats.binomtest(round(accuracy * videos), videos).proportion_ci(method="wilson")
    interval = f"95 % interval (Wilson) {low:.1%} to {high:.1%}"
    name = "accuracy of videos"
    largest = _figure("always the largest class", name, f"{told['largest_class']:.1%}")
    return [_figure("the model", name, f"{accuracy:.1%}", interval), largest]


def _of_rows(told):
    errors = {row["predictor"]: row for row in told.get("standard_errors", ())}
    figures = []
    for row in told["rows"]:
        for name, value in row.items():
            if name != "predictor" and value is not None:
                error = errors.get(row["predictor"], {}).get(name)
                uncertainty = "" if error is None else f"standard error {error:.2g}"
                figures.append(_figure(row["predictor"], name.replace("_", " "), f"{value:.5g}", uncertainty))
    return figures


def _figure(of, name, value, uncertainty=""):
    return {"of": of, "name": name, "value": value, "uncertainty": uncertainty}
