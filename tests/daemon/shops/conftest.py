"""A private MariaDB, pretend shops on it, and the table of what each dialect was tried on."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

STAGES = Path(__file__).with_name("stages")


@dataclass(frozen=True, slots=True)
class MariaDb:
    folder: Path
    databases: dict[str, str] = field(default_factory=dict)
    """Pretend shops' databases that are clean, to be used again: making one takes a second."""

    @property
    def socket(self) -> str:
        return str(self.folder / "db.sock")


def as_account() -> list[str]:
    """The server refuses to run as root."""
    return ["--user=nobody"] if os.geteuid() == 0 else []


def system_tables(server: str) -> bytes:
    """What a new data folder is made of; `mariadb-install-db` wants programs that only the client's package has."""
    share = Path(server).resolve().parent.parent / "share"
    folders = [share / "mariadb", share / "mysql", Path("/usr/share/mariadb"), Path("/usr/share/mysql")]
    parts = [b"CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n"]
    for name in ("system_tables", "performance_tables", "system_tables_data"):
        files = [folder / f"{brand}_{name}.sql" for folder in folders for brand in ("mariadb", "mysql")]
        parts.append(next(file for file in files if file.exists()).read_bytes())
    return b"\n".join(parts)


@pytest.fixture(scope="session")
def mariadb(needs_program: Callable[[str], str]) -> Iterator[MariaDb]:
    """One server for each pytest process: own folder, a socket only. It runs in New York's zone, so that no test
    passes because everybody's clock is the same."""
    server = needs_program("mariadbd")
    folder = Path(tempfile.mkdtemp(prefix="tillbell-mariadb-"))
    (folder / "data").mkdir()
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        for made in (folder, folder / "data"):
            os.chown(made, nobody.pw_uid, nobody.pw_gid)
    common = [server, "--no-defaults", f"--datadir={folder / 'data'}", "--innodb-buffer-pool-size=32M",
              *as_account()]  # fmt: skip
    subprocess.run(
        [*common, "--sql-mode=", "--bootstrap"], input=system_tables(server), capture_output=True, check=True
    )
    process = subprocess.Popen(
        [*common, f"--socket={folder / 'db.sock'}", "--skip-networking", f"--pid-file={folder / 'pid'}",
         "--innodb-flush-log-at-trx-commit=0", "--character-set-server=utf8mb4",
         "--sql-mode=TRADITIONAL,ONLY_FULL_GROUP_BY,ANSI_QUOTES"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, "TZ": "America/New_York"},
    )  # fmt: skip
    try:
        listening = wait_until_ready(process)
        yield MariaDb(folder)
    finally:
        process.terminate()
        process.wait(timeout=30)
        shutil.rmtree(folder)
    listening.join()
    assert process.stderr is not None
    process.stderr.close()


def wait_until_ready(process: "subprocess.Popen[bytes]") -> threading.Thread:
    """The server says so itself; what it says later is read too, or it would stand still at a full pipe."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if b"ready for connections" in line:
            break
    else:
        pytest.fail(b"".join(said[-20:]).decode())
    listening = threading.Thread(target=process.stderr.read, daemon=True)
    listening.start()
    return listening


def load(name: str) -> ModuleType:
    """A stage by its file's name."""
    spec = importlib.util.spec_from_file_location(f"stage_{name}", STAGES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
async def pretend(mariadb: MariaDb) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """Makes an empty pretend shop: `await pretend("modified")`, with a table prefix if wanted."""
    module = load("oscommerce")
    async with AsyncExitStack() as stack:

        async def make(dialect: str, prefix: str = "") -> Any:
            return await stack.enter_async_context(module.Pretend(mariadb, dialect, prefix))

        yield make


@pytest.fixture
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """The pretend shop of a connector, of which `request.param` is the file's name. Its connectors are closed."""
    assert (STAGES / f"{request.param}.py").exists(), f"connector {request.param} needs stages/{request.param}.py"
    made: list[Any] = []
    async with load(request.param).stage(request) as built:
        connect = built.connector

        def connector() -> Any:
            made.append(connect())
            return made[-1]

        built.connector = connector
        yield built
        for shop in made:
            await shop.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "mariadb" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.mariadb)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What each dialect was tried on, from this very run."""
    cells: dict[str, dict[str, str]] = {}
    for outcome, mark in (("passed", "yes"), ("failed", "FAILED"), ("error", "FAILED"), ("skipped", "skipped")):
        for report in terminalreporter.stats.get(outcome, []):
            for key, (trap, dialect, note) in getattr(report, "user_properties", []):
                if key == "trap":
                    cells.setdefault(trap, {})[dialect] = "n/a" if note else mark
    if not cells:
        return
    dialects = sorted({dialect for row in cells.values() for dialect in row})
    width = max(map(len, cells))
    terminalreporter.section("osCommerce family: dialect × trap")
    terminalreporter.write_line(" " * width + "  " + "  ".join(dialects))
    for trap, row in cells.items():
        marks = (row.get(dialect, "").ljust(len(dialect)) for dialect in dialects)
        terminalreporter.write_line(trap.ljust(width) + "  " + "  ".join(marks).rstrip())
