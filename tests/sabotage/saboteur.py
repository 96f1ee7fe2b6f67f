"""Takes one guard after the other out of a copy of the project, and looks whether a test goes red. Prints a table.

.venv/bin/python -m tests.sabotage.saboteur
.venv/bin/python -m tests.sabotage.saboteur "quiet hours"
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.sabotage.guards import GUARDS, Guard

ROOT = Path(__file__).parents[2]
PATIENCE = 280
FAILED = re.compile(r"^FAILED (\S+?)(?: - (.*))?$", re.MULTILINE)
FOLDERS = ("bench", "channels", "daemon", "docs", "migrations", "rules", "tests", "tools")
"""With the files beside them: what a test may read."""


@dataclass(frozen=True, slots=True)
class Found:
    """Which test went red; none for a guard that nobody misses."""

    guard: Guard
    test: str
    said: str


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the project as it lies there, without anything that was built."""
    folder = Path(tempfile.mkdtemp(prefix="tillbell-sabotage-"))
    folder.chmod(0o711)
    try:
        for name in FOLDERS:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for file in ROOT.iterdir():
            if file.is_file():
                shutil.copy(file, folder)
        yield folder
    finally:
        shutil.rmtree(folder)


def taken_away(guard: Guard) -> Found:
    """Run the tests that should miss it, until one does. Raises LookupError when the guard is not where it was."""
    with copied() as folder:
        file = folder / guard.file
        text = file.read_text()
        if text.count(guard.there) != 1:
            raise LookupError(f"{guard.file}: {guard.name}: stands there {text.count(guard.there)} times, not once")
        file.write_text(text.replace(guard.there, guard.instead))
        for test in guard.tests:
            if red := FAILED.search(run(folder, test)):
                return Found(guard, red[1], red[2] or "")
    return Found(guard, "", "")


def run(folder: Path, test: str) -> str:
    """What pytest says of one file in the copy, up to the first failure."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not long", "-p", "no:cacheprovider", test]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"}
    environment = {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}
    try:
        done = subprocess.run(
            command, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        return f"FAILED {test} - took more than {PATIENCE} s"
    return done.stdout


def main(words: list[str]) -> int:
    """Exit code 1 when a guard is missed by nobody."""
    chosen = [guard for guard in GUARDS if not words or any(word in guard.name for word in words)]
    table = Table("guard", "where", "missed by")
    missed = 0
    for guard in chosen:
        found = taken_away(guard)
        missed += not found.test
        table.add_row(guard.name, guard.file, found.test.partition("::")[2] or "[red]nobody[/]")
    Console().print(table)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
