"""The embedded PostgreSQL: its cluster is made once, then it is started on loopback with a password of its own."""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import asyncpg

from daemon.embedded.account import Account, make_folder
from daemon.embedded.binaries import MAJOR, Programs
from daemon.embedded.process import environment, free_port, stop_left_over
from daemon.embedded.server import Server
from daemon.errors import ConfigurationError, TemporaryError

NAME = "tillbell"
STOP = signal.SIGINT  # PostgreSQL's fast shutdown: sessions are ended, a checkpoint is written
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a socket's path may not be longer than 107 letters; loopback has no such limit
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "jit": "off",
    "max_connections": "200",
}


async def prepare(
    programs: Programs, folder: Path, account: Account | None, password: str, settings: Mapping[str, str]
) -> Server:
    """The server, ready to be started. Refuses a cluster of another major version."""
    make_folder(folder, account)
    cluster = folder / "cluster"
    refuse_other_major(cluster)
    await stop_left_over(cluster / "postmaster.pid", folder, STOP)
    if not cluster.exists():
        make_cluster(programs, folder, account, password)
    port = free_port()
    options = {**SETTINGS, "port": str(port), **settings}
    command = [str(programs.postgres), "-D", str(cluster)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    url = f"postgresql://{NAME}:{password}@127.0.0.1:{port}/{NAME}"
    return Server("PostgreSQL", url, command, folder, account, STOP, answers)


def refuse_other_major(cluster: Path) -> None:
    version = cluster / "PG_VERSION"
    if not version.exists():
        return
    found = version.read_text().strip()
    if found != str(MAJOR):
        raise ConfigurationError(
            f"{cluster} was written by PostgreSQL {found}, and this tillbell brings PostgreSQL {MAJOR}; "
            f"hint: with the tillbell that wrote it run `tillbell dump FILE`, move {cluster} away, "
            "then run `tillbell load FILE` with this one"
        )


def refuse_nameless(uid: int) -> None:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        raise ConfigurationError(
            f"PostgreSQL sets itself up only for an account that has a name, and user number {uid} has none; "
            "hint: run as another user (in the image: 10001), or set TILLBELL_DATABASE_URL"
        ) from None


def make_cluster(programs: Programs, folder: Path, account: Account | None, password: str) -> None:
    """initdb beside and rename, so that a half cluster is never used."""
    if account is None:
        refuse_nameless(os.geteuid())
    draft, password_file = folder / "cluster.new", folder / "password"
    shutil.rmtree(draft, ignore_errors=True)
    password_file.unlink(missing_ok=True)
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if account:
        shutil.chown(password_file, account.uid, account.gid)
    command = [str(programs.initdb), "-D", str(draft), "--username", NAME, "--pwfile", str(password_file)]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin"]
    command += ["--builtin-locale=C.UTF-8", "--no-instructions"]
    # The password is 256 random bits: stretching it would only make each connection slower.
    command += ["--set", "scram_iterations=1"]
    try:
        run(command, folder, account)
    finally:
        password_file.unlink()
    draft.rename(folder / "cluster")


def run(command: list[str], folder: Path, account: Account | None) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    if done.returncode != 0:
        raise ConfigurationError(
            f"{Path(command[0]).name} failed:\n{done.stdout[-1000:]}{done.stderr[-2000:]}".rstrip()
        )


async def answers(url: str) -> bool:
    """True when our database is there to be used; makes it the first time."""
    try:
        connection = await asyncpg.connect(url, timeout=5)
    except asyncpg.InvalidCatalogNameError:
        await make_database(url)
        return True
    except asyncpg.InvalidPasswordError as error:
        raise ConfigurationError(
            "the embedded PostgreSQL refuses the password in keys/postgres of the data folder"
        ) from error
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return False
    await connection.close()
    return True


async def make_database(url: str) -> None:
    base, _, _ = url.rpartition("/")
    try:
        connection = await asyncpg.connect(f"{base}/postgres", timeout=5)
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise TemporaryError(f"the embedded PostgreSQL came up and went: {error}") from error
    try:
        await connection.execute(f"CREATE DATABASE {NAME}")
    finally:
        await connection.close()
