"""SECURITY.md promises only what a test holds."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_test_that_security_md_names_exists():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    words = re.findall(r"`(tests/\w+\.py|test_\w+)`", text)
    assert words[0].startswith("tests/") and len(words) > 20
    defined = set()
    for word in words:
        if word.startswith("tests/"):
            assert (ROOT / word).is_file(), word
            tree = ast.parse((ROOT / word).read_text(encoding="utf-8"))
            defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        else:
            assert word in defined, f"{word} is not in the file that is named before it"
