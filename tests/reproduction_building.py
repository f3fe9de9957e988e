"""Made-up data sets for reproductions: UCF-101's names with lists of two splits, and settings that take no time."""

from generated_videos import write_video

from videorep.reproduction.actions_settings import Request

CLASSES = ("Archery", "Bowling", "Diving")  # of the last there are no videos
TRAINING = {1: (1, 2, 3), 2: (2, 3, 4)}  # groups of a class, of which there are 4
SETTINGS = """
units = 3
steps = [1]
draws = 2
videos_per_class = [1, 2]
models = ["composite"]
splits = [1, 2]
size = 16
[pretraining]
steps = 1
batch_size = 2
"""


def make_official(folder):
    """`folder`/VIDEOS, LISTS and tiny.toml; (VIDEOS, LISTS, tiny.toml) as text."""
    lists, rows = folder / "LISTS", {}
    lists.mkdir(parents=True)
    (lists / "classInd.txt").write_text("".join(f"{n} {label}\n" for n, label in enumerate(CLASSES, 1)))
    for number, label in enumerate(CLASSES):
        (folder / "VIDEOS" / label).mkdir(parents=True)
        for group in range(1, 5):
            name = f"{label}/v_{label}_g{group:02d}_c01.avi"
            for split, groups in TRAINING.items():
                line = f"{name} {number + 1}" if group in groups else name
                rows.setdefault(f"{'train' if group in groups else 'test'}list{split:02d}.txt", []).append(line)
            if number < 2:
                write_video(folder / "VIDEOS" / name, frames=29 + group, first=200 * number + 40 * group)
    for name, lines in rows.items():
        (lists / name).write_text("\n".join(lines) + "\n")
    (folder / "tiny.toml").write_text(SETTINGS)
    return tuple(str(folder / name) for name in ("VIDEOS", "LISTS", "tiny.toml"))


def ask(videos, lists, settings, net, **more):
    return Request((("ucf101", videos, lists),), "laptop", settings, str(net), **more)
