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

from daemon.shops.dialects import DIALECTS, Dialect

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
        process.wait(timeout=60)
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


REASONS: dict[str, tuple[str, Callable[[Dialect], bool]]] = {
    "seconds": ("its baskets keep the second", lambda known: known.baskets != "day"),
    "days": ("its baskets keep the day alone", lambda known: known.baskets == "day"),
    "whole": ("its quantity is an int", lambda known: known.options not in ("md5", "combis")),
    "digest": ("its line keys are digests", lambda known: known.options == "md5"),
    "braces": ("its line keys spell options out", lambda known: known.options != "md5"),
    "no combinations": ("it has none", lambda known: known.options != "combis"),
    "no text": ("its baskets keep no free text", lambda known: "option_text" not in known.parts),
    "no mark": ("it has no administrators among customers, none is blocked", lambda known: "shut" not in known.parts),
    "no language": ("neither customers nor orders have one", lambda known: "language_key" not in known.parts),
    "no evidence": ("it keeps no double opt-in", lambda known: known.recipients == "none"),
}
"""Why a dialect cannot have a trap, and how its own data prove it."""


@pytest.fixture
def reasons() -> dict[str, tuple[str, Callable[[Dialect], bool]]]:
    return REASONS


@pytest.fixture
async def shop(pretend: Callable[..., Awaitable[Any]], dialect: str, request: pytest.FixtureRequest) -> Any:
    """An empty shop of the dialect that a trap is tried on; the table at the end is made of what is noted here."""
    mark = request.node.get_closest_marker("trap")
    request.node.user_properties.append(("trap", (mark.args[0], dialect, mark.kwargs)))
    return await pretend(dialect)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "trap(name, dialect=reason): tried on every dialect but these")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if mark := metafunc.definition.get_closest_marker("trap"):
        metafunc.parametrize("dialect", sorted(DIALECTS.keys() - mark.kwargs.keys()))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "mariadb" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.mariadb)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What each dialect was tried on, from this very run."""
    rows: dict[str, dict[str, str]] = {}
    why: dict[str, str] = {}
    for outcome, mark in (("passed", "yes"), ("failed", "FAILED"), ("error", "FAILED"), ("skipped", "skipped")):
        for report in terminalreporter.stats.get(outcome, []):
            for key, told in getattr(report, "user_properties", []):
                if key == "trap":
                    name, dialect, not_for = told
                    rows.setdefault(name, dict.fromkeys(not_for, "n/a"))[dialect] = mark
                    why |= {f"{name}, {other}": REASONS[word][0] for other, word in not_for.items()}
    if not rows:
        return
    dialects, width = sorted(DIALECTS), max(map(len, rows))
    terminalreporter.section("osCommerce family: dialect × trap")
    terminalreporter.write_line(" " * width + "  " + "  ".join(dialects))
    for name, row in rows.items():
        marks = (row.get(dialect, "").ljust(len(dialect)) for dialect in dialects)
        terminalreporter.write_line(name.ljust(width) + "  " + "  ".join(marks).rstrip())
    for cell, reason in why.items():
        terminalreporter.write_line(f"n/a {cell}: {reason}")
