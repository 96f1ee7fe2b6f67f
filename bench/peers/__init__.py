"""Others on the same work: installed into a folder that is gone afterwards, each run as a process of its own."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

HERE = Path(__file__).parent
PATIENCE = 180


class Absent(Exception):
    """It cannot be had here; the sentence says why."""


async def python_with(folder: Path, *packages: str) -> str:
    """A Python that has these packages from the package index. Raises Absent."""
    python = folder / "bin" / "python"
    await _done(sys.executable, "-m", "venv", folder)
    await _done(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages)
    return str(python)


async def node_with(folder: Path, script: str, *packages: str) -> tuple[str, str]:
    """Node and a copy of one of our scripts beside these npm packages. Raises Absent."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise Absent("Node is not installed")
    await asyncio.to_thread(folder.mkdir)
    copy = await asyncio.to_thread(shutil.copy, HERE / script, folder)
    await _done(npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, *packages)
    return node, str(copy)


async def told(*command: str | Path | int) -> dict[str, float]:
    """The one line of JSON that a peer's script prints. Raises Absent when it does not run through."""
    return dict(json.loads(await _done(*command)))


async def _done(*command: str | Path | int) -> bytes:
    try:
        process = await asyncio.create_subprocess_exec(*map(str, command), stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
    except OSError as error:
        raise Absent(f"{command[0]}: {error.strerror}") from None
    except TimeoutError:
        process.kill()
        await process.wait()
        raise Absent(f"{Path(str(command[0])).name} took more than {PATIENCE} s") from None
    if process.returncode:
        last = err.decode(errors="replace").strip().splitlines()[-1:] or [f"exit {process.returncode}"]
        raise Absent(f"{Path(str(command[0])).name}: {last[0][:120]}")
    return out
