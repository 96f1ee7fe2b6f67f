"""The outer limits of a file and of a function."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path
    for folder in ("daemon", "channels", "rules", "migrations", "tools", "tests", "bench")
    for path in (ROOT / folder).rglob("*.py")
)
IDS = [str(path.relative_to(ROOT)) for path in FILES]


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_no_file_over_400_lines_and_no_function_over_60(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    lengths = {node.name: node.end_lineno - node.lineno + 1 for node in functions(ast.parse(text))}
    assert {name: lines for name, lines in lengths.items() if lines > 60} == {}


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_every_module_says_what_it_is(path):
    text = path.read_text()
    assert not text or ast.get_docstring(ast.parse(text))


def test_no_name_that_says_nothing():
    forbidden = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base_service"}
    assert [
        name for path, name in zip(FILES, IDS, strict=True) if path.stem in forbidden or path.parent.name in forbidden
    ] == []


def test_limits_look_at_real_files():
    assert len(FILES) > 20
