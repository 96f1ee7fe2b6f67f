"""Takes one guard after the other out of a copy of the project, and looks whether its test goes red. Prints a table.

.venv/bin/python -m tests.sabotage.saboteur
.venv/bin/python -m tests.sabotage.saboteur "quiet hours"
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import select
import shutil
import signal
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
from daemon.migrate import migrate
from tests.conftest import FAST, make_open_folder, on_server
from tests.databases import named
from tests.sabotage.guards import GUARDS, Guard

ROOT = Path(__file__).parents[2]
PROVER = Path(__file__).with_name("prover.py")
TEMPLATE = "TILLBELL_TEST_TEMPLATE"
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


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of the project as it lies there, and the process whose forks run its tests."""

    folder: Path
    prover: subprocess.Popen[bytes]

    def run(self, tests: list[str], servers: Mapping[str, str]) -> str:
        """What pytest says of them, up to the first failure."""
        assert self.prover.stdin is not None
        assert self.prover.stdout is not None
        out = self.folder / "said"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        environment |= {"PYTHONPATH": str(self.folder), "COLUMNS": "1000", **servers}
        order = {"tests": tests, "env": environment, "out": str(out)}
        self.prover.stdin.write(json.dumps(order).encode() + b"\n")
        group = int(self.prover.stdout.readline())
        in_time = select.select([self.prover.stdout], [], [], PATIENCE)[0]
        if not in_time:
            os.killpg(group, signal.SIGKILL)
        self.prover.stdout.readline()
        return out.read_text("utf-8", "replace") if in_time else f"FAILED {tests[-1]} - took more than {PATIENCE} s"


@contextmanager
def copied() -> Iterator[Copy]:
    """Without anything that was built."""
    folder = Path(tempfile.mkdtemp(prefix="tillbell-sabotage-"))
    folder.chmod(0o711)
    try:
        for name in FOLDERS:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for file in ROOT.iterdir():
            if file.is_file():
                shutil.copy(file, folder)
        command = [sys.executable, str(PROVER), str(folder)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=pipe) as prover:  # it ends with its input
            assert prover.stdout is not None
            assert prover.stdout.readline() == b"ready\n"
            yield Copy(folder, prover)
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
    for compiled in file.parent.glob(f"__pycache__/{file.stem}.*"):
        compiled.unlink()


def taken_away(guard: Guard, copy: Copy, servers: Mapping[str, str]) -> Found:
    """Run its test in the copy without it. Raises LookupError when the guard is not where it was."""
    began = monotonic()
    files = [edit.file for edit in guard.edits]
    statements = [STATEMENTS] if any(file.endswith(".sql") for file in files) else []
    if any(file.startswith("migrations/") for file in files):
        servers = {name: value for name, value in servers.items() if name != TEMPLATE}
    with without(guard, copy.folder):
        red = FAILED.search(copy.run([*statements, guard.test], servers))
    said = (red[2] or "") if red else "nothing went red"
    missed = red is not None and red[1].startswith(guard.test) and SHARP.match(said) is not None
    return Found(guard, missed, said, monotonic() - began)


@contextmanager
def servers_of_our_own() -> Iterator[dict[str, str]]:
    """One pair for the whole table: each run makes databases of its own."""
    folder = make_open_folder()
    running = asyncio.run(start(folder / "data", with_postgres=True, with_valkey=True, keep=False, settings=FAST))
    try:
        template = f"tillbell_template_{secrets.token_hex(4)}"
        asyncio.run(on_server(running.database_url, f"CREATE DATABASE {template} TEMPLATE template0"))
        asyncio.run(migrate(named(running.database_url, template)))
        yield told(running.database_url, running.redis_url, template)
    finally:
        asyncio.run(running.stop())
        shutil.rmtree(folder)


def told(database_url: str, redis_url: str, template: str) -> dict[str, str]:
    """How a run of pytest finds them, and the database that its own are copied from."""
    return {"TILLBELL_TEST_DATABASE_URL": database_url, "TILLBELL_TEST_REDIS_URL": redis_url, TEMPLATE: template}


def main(words: list[str]) -> int:
    """Exit code 1 when a guard is missed by nobody."""
    chosen = [guard for guard in GUARDS if not words or any(word in guard.name for word in words)]
    table = Table("guard", "missed by", "which says", "seconds")
    unmissed = 0
    with copied() as copy, servers_of_our_own() as servers:
        for guard in chosen:
            found = taken_away(guard, copy, servers)
            unmissed += not found.missed
            test = guard.test.partition("::")[2] if found.missed else "[red]nobody[/]"
            table.add_row(guard.name, test, found.said[:200], f"{found.took:.1f}")
            print(found.line(), flush=True)
    Console().print(table)
    return 1 if unmissed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
