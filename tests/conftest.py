"""Real servers for tests: one PostgreSQL and one Valkey for each pytest process, a fresh database for each test.

TILLBELL_TEST_DATABASE_URL (an account that may create databases) and TILLBELL_TEST_REDIS_URL name others;
TILLBELL_TEST_ON_SERVERS=true leaves out what meets neither.
"""

import asyncio
import itertools
import os
import random
import secrets
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import asyncpg
import pytest
import redis.asyncio
import structlog
from hypothesis import HealthCheck
from hypothesis import settings as examples

from daemon.demo.twilio import Twilio
from daemon.embedded import Servers, binaries, start
from daemon.embedded.process import is_free
from daemon.migrate import migrate
from tests.databases import Databases, named
from tests.proxy import Proxy

DATABASE = os.environ.get("TILLBELL_TEST_DATABASE_URL", "")
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
REDIS_DATABASES = 16
REDIS = os.environ.get("TILLBELL_TEST_REDIS_URL", "") if WORKER < REDIS_DATABASES else ""
"""On a machine with many cores some processes of pytest get no database of that server, and start one of their own."""
TEMPLATE = os.environ.get("TILLBELL_TEST_TEMPLATE", "")
ON_SERVERS = os.environ.get("TILLBELL_TEST_ON_SERVERS") == "true"
# A power cut may take the tests' data. The fall of a process must not: synchronous_commit stays on.
# When each transaction was committed is for the tests of races.
FAST = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off", "track_commit_timestamp": "on"}
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"
# No example is wrong because the machine was busy with something else, and each run tries the same ones.
examples.register_profile(
    "unhurried", examples(), deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
examples.load_profile("unhurried")
# Seconds that aiosmtpd gives its thread to listen; it has five of its own.
os.environ.setdefault("AIOSMTPD_CONTROLLER_TIMEOUT", "60")


def pytest_report_header() -> list[str]:
    postgres = asyncio.run(postgres_version()) if DATABASE else printed(binaries.pg_tool("postgres"))
    valkey = asyncio.run(redis_version()) if REDIS else printed(binaries.valkey_server())
    return [f"database: {postgres}", f"bell: {valkey}"]


@pytest.hookimpl(trylast=True)  # after -m has chosen
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if ON_SERVERS:
        others = [item for item in items if "servers" not in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in set(others)]
    begin_with_the_longest(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def begin_with_the_longest(items: list[pytest.Item], processes: int) -> None:
    """Or the last one runs alone for minutes. Each process takes its part of the list, one after the other, and those
    that are done help others from the end of theirs. What takes minutes says so: `@pytest.mark.long(300)`."""
    minutes = {item: mark.args[0] for item in items if (mark := item.get_closest_marker("long")) and mark.args}
    longest = sorted(minutes, key=lambda item: -minutes[item])
    others = [item for item in items if item not in minutes]
    share = -(-len(others) // processes)
    items[:] = [
        item
        for process in range(processes)
        for item in (*longest[process::processes], *others[process * share : (process + 1) * share])
    ]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of guards, where they were taken away; with xdist as without it."""
    reports = [report for state in ("passed", "failed") for report in terminalreporter.getreports(state)]
    rows = sorted(str(text) for report in reports for word, text in report.user_properties if word == "guard")
    if rows:
        terminalreporter.section("guards, and what is said without them")
        terminalreporter.write_line("\n".join(rows))


def printed(program: Path) -> str:
    return (
        "embedded " + subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    )


async def postgres_version() -> str:
    connection = await asyncpg.connect(DATABASE)
    try:
        return "external " + str(await connection.fetchval("SELECT version()"))
    finally:
        await connection.close()


async def redis_version() -> str:
    client = redis.asyncio.Redis.from_url(REDIS)
    try:
        told = await client.info("server")
        return f"external {told.get('server_name', 'redis')} {told.get('valkey_version', told['redis_version'])}"
    finally:
        await client.aclose()


def lacks(what: str) -> NoReturn:
    """Here the test is skipped for this reason. CI has all that a test needs: there it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}, and CI must have it")
    pytest.skip(what)


@pytest.fixture(scope="session")
def needs_program() -> Callable[[str], str]:
    """Where a program is that not every machine has. Without it the test is skipped; in CI it fails."""

    def find(name: str) -> str:
        found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM_FOLDERS}")
        return found or lacks(f"{name} is not installed")

    return find


def make_open_folder() -> Path:
    """pytest's own temporary folder is closed to the account that servers run as when we are root."""
    folder = Path(tempfile.mkdtemp(prefix="tillbell-tests-"))
    folder.chmod(0o711)
    return folder


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A temporary folder that an embedded server's account can reach."""
    folder = make_open_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """What of PostgreSQL and Valkey the environment does not name is started here, once for each pytest process."""
    if DATABASE and REDIS:
        yield Servers(DATABASE, REDIS)
        return
    folder = make_open_folder()
    running = asyncio.run(
        start(folder / "data", with_postgres=not DATABASE, with_valkey=not REDIS, keep=False, settings=FAST)
    )
    running.database_url = DATABASE or running.database_url
    running.redis_url = REDIS or running.redis_url
    yield running
    asyncio.run(running.stop())
    shutil.rmtree(folder)


async def on_server(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def template(servers: Servers) -> Iterator[str]:
    """The name of a migrated database that each test's own is copied from; one may be there already."""
    if TEMPLATE:
        yield TEMPLATE
        return
    name = f"tillbell_template_{secrets.token_hex(4)}"
    asyncio.run(on_server(servers.database_url, f"CREATE DATABASE {name} TEMPLATE template0"))
    asyncio.run(migrate(named(servers.database_url, name)))
    yield name
    asyncio.run(on_server(servers.database_url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
async def empty_database(servers: Servers) -> AsyncIterator[str]:
    """The address of a database without any table."""
    name = f"tillbell_test_{secrets.token_hex(6)}"
    await on_server(servers.database_url, f"CREATE DATABASE {name} TEMPLATE template0")
    yield named(servers.database_url, name)
    await on_server(servers.database_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def databases(servers: Servers, template: str) -> Iterator[Databases]:
    made = Databases(servers.database_url, template)
    yield made
    asyncio.run(made.close())


@pytest.fixture(autouse=True)
def plain_log() -> None:
    """What the daemon logs in this process, short: an error shown with all that its frames hold takes seconds."""
    show = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, show],
        cache_logger_on_first_use=False,
    )


@pytest.fixture
async def database(servers: Servers, databases: Databases) -> AsyncIterator[str]:
    """The address of a migrated database that belongs to this test alone."""
    name = await databases.take()
    yield named(servers.database_url, name)
    await databases.give_back(name)


@pytest.fixture
async def db(database: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close(timeout=60)


@pytest.fixture
async def pool(database: str) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    async with asyncpg.create_pool(database, min_size=0, max_size=10) as made:
        yield made
        made.terminate()


@pytest.fixture
async def redis_url(servers: Servers) -> AsyncIterator[str]:
    """The address of an empty Valkey, or of this worker's own database on an external one."""
    url = named(servers.redis_url, str(WORKER % REDIS_DATABASES))
    client = redis.asyncio.Redis.from_url(url)
    await client.flushdb()
    yield url
    await client.flushdb()
    await client.aclose()


@pytest.fixture
async def make_proxy() -> AsyncIterator[Callable[..., Awaitable[Proxy]]]:
    """`await make_proxy(url_or_port, latency=0.01)`: a TCP proxy before that server; closed at the end."""
    made: list[Proxy] = []

    async def make(server: str | int, **words: float) -> Proxy:
        host, port = "127.0.0.1", server
        if isinstance(server, str):
            parts = urlsplit(server)
            host, port = parts.hostname or host, parts.port or 0
        proxy = Proxy(host, int(port), **words)
        await proxy.open()
        made.append(proxy)
        return proxy

    yield make
    for proxy in made:
        await proxy.close()


@pytest.fixture
async def twilio() -> AsyncIterator[Twilio]:
    made = Twilio()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture(scope="session")
def unused_tcp_port_factory() -> Callable[[], int]:
    """Ports that nobody else takes before they are listened on, each given again only after all others: below those of
    `free_port` and of outgoing connections, and each process of pytest has its own, on as many as twenty cores."""
    first = 10_000 + 500 * (WORKER % 20)
    mine = itertools.cycle(random.sample(range(first, first + 500), 500))

    def make() -> int:
        return next(port for port in mine if is_free(port))

    return make


@pytest.fixture
def unused_tcp_port(unused_tcp_port_factory: Callable[[], int]) -> int:
    return unused_tcp_port_factory()


@dataclass(frozen=True)
class Certificate:
    """A self-made one for 127.0.0.1 and localhost."""

    cert: Path
    key: Path

    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context


@pytest.fixture(scope="session")
def certificate(needs_program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    folder = tmp_path_factory.mktemp("certificate")
    made = Certificate(folder / "cert.pem", folder / "key.pem")
    subprocess.run(
        [
            *(needs_program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", made.key, "-out", made.cert),
        ],
        check=True,
        capture_output=True,
    )
    return made
