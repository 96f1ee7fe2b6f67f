"""All rows to a file and back: the way between two versions of PostgreSQL, and a backup.

The file is a gzipped SQL script as pg_dump writes it, so zcat reads it and the psql of PostgreSQL 18 loads it.
The keys of the data folder are not in it: keep `keys/` together with it, or the opt-outs in it match nobody.
"""

import asyncio
import gzip
import os
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg

from daemon.embedded.binaries import pg_tool
from daemon.errors import ConfigurationError, TemporaryError

CHUNK = 1 << 20
HEAD_LINES = 40
# PostgreSQL 17 and newer say this at the top of a dump; older ones, which we support too, do not know the word.
TOO_NEW = b"SET transaction_timeout = 0;\n"


async def dump(url: str, file: Path) -> int:
    """Write the database to the file, whole or not at all, readable only by us; returns its size in bytes."""
    draft = file.with_name(file.name + ".part")
    address, environment = connection(url)
    process = await asyncio.create_subprocess_exec(
        pg_tool("pg_dump"), "--no-owner", "--no-privileges", "--dbname", address,
        env=environment, stdin=DEVNULL, stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as raw:
            complaints = await pack(process, raw)
            os.fsync(raw.fileno())
        if await process.wait() != 0:
            raise TemporaryError(f"pg_dump failed: {complaints.decode(errors='replace').strip()}")
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    return size(file)


def size(file: Path) -> int:
    return file.stat().st_size


async def pack(process: Process, raw: IO[bytes]) -> bytes:
    """Compress what the process writes; returns its complaints."""
    assert process.stdout is not None
    assert process.stderr is not None
    complaints = asyncio.create_task(process.stderr.read())
    with gzip.open(raw, "wb", compresslevel=6) as packed:
        while chunk := await process.stdout.read(CHUNK):
            await asyncio.to_thread(packed.write, chunk)
    return await complaints


async def load(url: str, file: Path) -> None:
    """Read a dump into an empty database, in one transaction. Migrate afterwards: it may be of an older schema."""
    refuse_missing(file)
    await refuse_tables(url)
    address, environment = connection(url)
    process = await asyncio.create_subprocess_exec(
        pg_tool("psql"), "--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--dbname", address,
        env=environment, stdin=PIPE, stdout=DEVNULL, stderr=PIPE,
    )  # fmt: skip
    complaints = await feed(process, file)
    if await process.wait() != 0:
        raise ConfigurationError(f"{file} cannot be loaded: {complaints.decode(errors='replace').strip()}")


async def feed(process: Process, file: Path) -> bytes:
    """Hand the script over; returns what was complained about."""
    assert process.stdin is not None
    assert process.stderr is not None
    complaints = asyncio.create_task(process.stderr.read())
    try:
        for chunk in script(file):
            process.stdin.write(chunk)
            await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass  # psql has given up, and its complaint says why
    except (gzip.BadGzipFile, EOFError) as error:
        process.kill()  # before the end of its input: nothing is committed
        await process.wait()
        raise ConfigurationError(f"{file} is not a whole dump of tillbell: {error}") from error
    finally:
        process.stdin.close()
    return await complaints


def script(file: Path) -> Iterator[bytes]:
    with gzip.open(file) as packed:
        for _ in range(HEAD_LINES):
            line = packed.readline()
            if line != TOO_NEW:
                yield line
        while chunk := packed.read(CHUNK):
            yield chunk


def refuse_missing(file: Path) -> None:
    if not file.is_file():
        raise ConfigurationError(f"there is no file {file}")


async def refuse_tables(url: str) -> None:
    found = await asyncpg.connect(url)
    try:
        tables = await found.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    finally:
        await found.close()
    if tables:
        raise ConfigurationError(f"the database already has {tables} tables; hint: `tillbell load` needs an empty one")


def connection(url: str) -> tuple[str, dict[str, str]]:
    """The address without its password, which travels in the environment: other users see command lines."""
    parts = urlsplit(url)
    account, _, host = parts.netloc.rpartition("@")
    user, _, password = account.partition(":")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TILLBELL_")}
    if password:
        environment["PGPASSWORD"] = unquote(password)
    return urlunsplit(parts._replace(netloc=f"{user}@{host}" if user else host)), environment
