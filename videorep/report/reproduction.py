"""The report of a reproduction: results.json, the same as a page with its pictures within, and as Markdown."""

import base64
import json
from pathlib import Path

import jinja2

from videorep.figures.few_labels import draw_few_label_curve
from videorep.storage import write_text_durably

RESULTS, TEMPLATES = "results.json", ("report.html", "report.md")


def write_reproduction(folder, result):
    """Writes results.json, report.html and report.md, and the curves as pictures, into a folder.

    Args:
        result: What `videorep.reproduction.actions.reproduce_actions` returned.
    Raises:
        OutputError, OSError: they cannot be written.
    """
    folder, pictures = Path(folder), {}
    for data, lines in result["curves"].items():
        path = folder / f"figure-12-{data}.png"
        draw_few_label_curve(
            path, {line: {float(count): draws for count, draws in each.items()} for line, each in lines.items()}
        )
        pictures[path.name] = f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
    write_text_durably(folder / RESULTS, json.dumps(result, indent=2) + "\n")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("videorep", "report"),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"show": show, "pictures": pictures, "hours": sum(result["seconds"].values()) / 3600}
    for name in TEMPLATES:
        page = environment.get_template(f"reproduction.{name.split('.')[1]}.j2").render(result=result)
        write_text_durably(folder / name, page)


def tabulate(table):
    """A row per method, a column for each of the table's: ours, and the paper's in brackets."""
    return [
        {"method": row["method"]}
        | {
            column: show(cell) + (f" (paper {cell['paper']})" if cell["paper"] else "")
            for column, cell in zip(table["columns"], row["cells"], strict=True)
        }
        for row in table["rows"]
    ]


def show(cell):
    """A mean and its deviation in per cent; a dash where nothing was measured."""
    if cell["mean"] is None:
        return "-"
    deviation = f" ± {100 * cell['deviation']:.1f}" if cell["deviation"] is not None else ""
    return f"{100 * cell['mean']:.1f}{deviation}"
