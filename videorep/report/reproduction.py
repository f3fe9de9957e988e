"""The report of a reproduction: results.json, the same as a page with its pictures within, and as Markdown."""

import base64
import json
from pathlib import Path

import jinja2

from videorep.storage import write_text_durably

RESULTS, TEMPLATES = "results.json", ("report.html", "report.md")


def write_reproduction(folder, result):
    """Writes results.json, report.html and report.md into a folder that holds the result's pictures.

    Args:
        result: dict for JSON: "title", "explanation" (of the tables), "command", "scale", "seed", "settings",
            "versions", "seconds" ({stage: seconds}), "warnings", "findings" (sentences, if any), "tables"
            ([{"name", "title", "columns", "rows": [{"method", "cells": [cell per column]}]}], a cell being
            {"mean", "deviation", "parts": [{"part", "mean", "deviation"}], "paper"}), "pictures" ({file: caption}), and
            "data", for whatever else is to be told of videos.
    Raises:
        OutputError, OSError: they cannot be written.
    """
    folder = Path(folder)
    pictures = {
        name: f"data:image/png;base64,{base64.b64encode((folder / name).read_bytes()).decode()}"
        for name in result["pictures"]
    }
    write_text_durably(folder / RESULTS, json.dumps(result, indent=2) + "\n")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("videorep", "report"),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"show": show, "pictures": pictures, "hours": sum(result["seconds"].values()) / 3600}
    environment.globals |= {
        "has_paper": lambda table: any(cell["paper"] for row in table["rows"] for cell in row["cells"])
    }
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
    """A mean and its deviation; a dash where nothing was measured."""
    if cell["mean"] is None:
        return "-"
    digits = 3 if abs(cell["mean"]) < 2 else 1
    deviation = f" ± {cell['deviation']:.{digits}f}" if cell["deviation"] is not None else ""
    return f"{cell['mean']:.{digits}f}{deviation}"
