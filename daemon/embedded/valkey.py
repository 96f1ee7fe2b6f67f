"""The embedded Valkey: a bell on loopback that writes down what it is told."""

import shutil
import signal
from pathlib import Path

import redis.asyncio
from redis.exceptions import RedisError

from daemon.embedded.account import Account, make_folder
from daemon.embedded.binaries import Programs
from daemon.embedded.process import free_port, stop_left_over
from daemon.embedded.server import Server

STOP = signal.SIGTERM


async def prepare(programs: Programs, folder: Path, account: Account | None, password: str) -> Server:
    """The server, ready to be started."""
    make_folder(folder, account)
    await stop_left_over(folder / "valkey.pid", folder, STOP)
    port = free_port()
    config = folder / "valkey.conf"
    config.unlink(missing_ok=True)
    config.touch(mode=0o600)
    config.write_text(configuration(port, password))
    if account:
        shutil.chown(config, account.uid, account.gid)
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    return Server("Valkey", url, [str(programs.valkey), str(config)], folder, account, STOP, answers)


def configuration(port: int, password: str) -> str:
    """Never evicts, keeps every write, and keeps its command line, by which it is known after a crash."""
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        "protected-mode yes",
        f"requirepass {password}",
        "dir .",
        "daemonize no",
        "pidfile valkey.pid",
        "set-proc-title no",
        "maxmemory-policy noeviction",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
    ]
    return "\n".join(lines) + "\n"


async def answers(url: str) -> bool:
    client = redis.asyncio.Redis.from_url(url, socket_timeout=5)
    try:
        return bool(await client.ping())
    except (RedisError, OSError):
        return False
    finally:
        await client.aclose()
