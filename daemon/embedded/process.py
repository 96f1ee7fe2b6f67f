"""Child processes that end with us and are known again after a crash."""

import asyncio
import contextlib
import ctypes
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from daemon.embedded.account import Account

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
LOG_LIMIT = 10 * 1024 * 1024


PORTS = range(20_000, 32_768)
"""Below those that systems give to outgoing connections: one of these is still free a moment later."""


def free_port() -> int:
    """Nobody listens on it now, on this machine."""
    while True:
        port = PORTS.start + secrets.randbelow(len(PORTS))
        if is_free(port):
            return port


def is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


def end_with_parent(parent: int, stop: signal.Signals) -> Callable[[], None]:
    """For preexec_fn: the kernel sends `stop` to the child when the thread that started it is gone, however it went."""

    def ask_kernel() -> None:
        if LIBC is not None:
            LIBC.prctl(PR_SET_PDEATHSIG, stop)
            if os.getppid() != parent:
                os._exit(1)

    return ask_kernel


def spawn(
    command: Sequence[str], folder: Path, log: Path, account: Account | None, stop: signal.Signals
) -> subprocess.Popen[bytes]:
    """Start a server in its own folder, as its own account, its output in the log; call from a thread that stays."""
    rotate(log)
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment(folder),
            start_new_session=True,
            preexec_fn=end_with_parent(os.getpid(), stop),  # noqa: PLW1509  only a prepared system call happens in it
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )


def environment(folder: Path) -> dict[str, str]:
    """Nothing of ours: no secrets, and no PG* variable that would bend a server."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "HOME": str(folder)}


def rotate(log: Path) -> None:
    """One older log is kept."""
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix(".1.log"))


def last_words(log: Path, lines: int = 8) -> str:
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def is_ours(pid: int, folder: Path) -> bool:
    """Whether this process lives and names our folder on its command line; a number used again by another does not."""
    if sys.platform == "linux":
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()  # empty for a process that has ended unreaped
        except OSError:
            return False
    else:
        words = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False).stdout
    return os.fsencode(folder) in words


async def stop_left_over(pid_file: Path, folder: Path, stop: signal.Signals, patience: float = 20) -> None:
    """End the server that an earlier owner of the folder left behind, and clear its pid file."""
    pid = pid_in(pid_file)
    if pid is None:
        return
    for kind, seconds in ((stop, patience), (signal.SIGKILL, 5.0)):
        if not is_ours(pid, folder):
            break
        os.kill(pid, kind)
        await gone(pid, folder, seconds)
    # Its number may belong to another process by now, which would keep the server from starting.
    await asyncio.to_thread(pid_file.unlink, missing_ok=True)


def pid_in(pid_file: Path) -> int | None:
    try:
        return int(pid_file.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


async def gone(pid: int, folder: Path, patience: float) -> None:
    deadline = asyncio.get_running_loop().time() + patience
    while is_ours(pid, folder) and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110  not our child
        await asyncio.sleep(0.02)
