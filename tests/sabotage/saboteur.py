"""Takes one guard after the other out of a copy of the project, and looks whether its test goes red. Prints a table.

.venv/bin/python -m tests.sabotage.saboteur
.venv/bin/python -m tests.sabotage.saboteur "quiet hours"
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from daemon.clock import monotonic
from daemon.embedded import start
from tests.conftest import FAST, make_open_folder
from tests.sabotage.guards import GUARDS, Guard

ROOT = Path(__file__).parents[2]
PATIENCE = 280
FAILED = re.compile(r"^FAILED (\S.*?)(?: - (.*))?$", re.MULTILINE)
SHARP = re.compile(
    r"AssertionError|assert |Failed: DID NOT RAISE|TimeoutError|ValueError: (?:not enough|too many) values to unpack"
    r"|KeyError: '[A-Z][a-z]+-"
)
"""What a test says when the product behaves otherwise than promised, and not when the copy does not even run. The last
three: what has to come does not come, not as many rows as that, a header that is not there."""
FOLDERS = ("bench", "channels", "daemon", "docs", "migrations", "rules", "tests", "tools")
"""With the files beside them: what a test may read."""
STATEMENTS = "tests/daemon/store/test_queries.py"
"""A statement that lost a guard still has to be one."""


@dataclass(frozen=True, slots=True)
class Found:
    """Whether the guard was missed, what the test said and how many seconds it took."""

    guard: Guard
    missed: bool
    said: str
    took: float

    def line(self) -> str:
        """One of the table."""
        return f"{'missed' if self.missed else 'NOT MISSED'}: {self.guard.name} ({self.took:.1f} s): {self.said[:120]}"


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


@contextmanager
def without(guard: Guard, folder: Path) -> Iterator[None]:
    """The copy lacks the guard meanwhile. Raises LookupError when it is not where it was."""
    whole = {folder / edit.file: (folder / edit.file).read_text() for edit in guard.edits}
    try:
        for edit in guard.edits:
            text = (folder / edit.file).read_text()
            if text.count(edit.there) != 1:
                raise LookupError(f"{edit.file}: {guard.name}: stands there {text.count(edit.there)} times, not once")
            write(folder / edit.file, text.replace(edit.there, edit.instead))
        yield
    finally:
        for file, text in whole.items():
            write(file, text)


def write(file: Path, text: str) -> None:
    """Nothing compiled from what it said before is used again."""
    file.write_text(text)
    shutil.rmtree(file.parent / "__pycache__", ignore_errors=True)


def taken_away(guard: Guard, folder: Path, servers: Mapping[str, str]) -> Found:
    """Run its test in the copy without it. Raises LookupError when the guard is not where it was."""
    began = monotonic()
    statements = [STATEMENTS] if any(edit.file.endswith(".sql") for edit in guard.edits) else []
    with without(guard, folder):
        red = FAILED.search(run(folder, [*statements, guard.test], servers))
    said = (red[2] or "") if red else "nothing went red"
    missed = red is not None and red[1].startswith(guard.test) and SHARP.match(said) is not None
    return Found(guard, missed, said, monotonic() - began)


def run(folder: Path, tests: list[str], servers: Mapping[str, str]) -> str:
    """What pytest says of them in the copy, up to the first failure."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not long", "-p", "no:cacheprovider", *tests]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"PYTHONPATH": str(folder), "COLUMNS": "1000", **servers}
    try:
        done = subprocess.run(
            command, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        return f"FAILED {tests[-1]} - took more than {PATIENCE} s"
    return done.stdout


@contextmanager
def servers_of_our_own() -> Iterator[dict[str, str]]:
    """One pair for the whole table: each run makes databases of its own."""
    folder = make_open_folder()
    running = asyncio.run(start(folder / "data", with_postgres=True, with_valkey=True, keep=False, settings=FAST))
    try:
        yield named(running.database_url, running.redis_url)
    finally:
        asyncio.run(running.stop())
        shutil.rmtree(folder)


def named(database_url: str, redis_url: str) -> dict[str, str]:
    return {"TILLBELL_TEST_DATABASE_URL": database_url, "TILLBELL_TEST_REDIS_URL": redis_url}


def main(words: list[str]) -> int:
    """Exit code 1 when a guard is missed by nobody."""
    chosen = [guard for guard in GUARDS if not words or any(word in guard.name for word in words)]
    table = Table("guard", "missed by", "which says", "seconds")
    unmissed = 0
    with copied() as folder, servers_of_our_own() as servers:
        for guard in chosen:
            found = taken_away(guard, folder, servers)
            unmissed += not found.missed
            test = guard.test.partition("::")[2] if found.missed else "[red]nobody[/]"
            table.add_row(guard.name, test, found.said[:200], f"{found.took:.1f}")
            print(found.line(), flush=True)
    Console().print(table)
    return 1 if unmissed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
