"""For tests of whole processes and of commands beside them: what an operator types, and what comes of it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from daemon.cli import app
from tests.flow.conftest import links_of, make_buyer, make_town, town

__all__ = ["links_of", "make_buyer", "make_town", "town"]  # fixtures of the stories, for here too

ROOT = Path(__file__).parents[2]


WAITS = (
    ("daemon.store.database", "PATIENCE"),
    ("daemon.flow.desk", "PATIENCE"),
    ("daemon.flow.desk", "DEADLINE"),
    ("daemon.web.hooks", "KEEP_PATIENCE"),
    ("daemon.web.hooks", "WRITE_PATIENCE"),
    ("daemon.web.health", "PATIENCE"),
    ("daemon.web.site", "PATIENCE"),
    *((f"daemon.web.{page}", "READ_PATIENCE") for page in ("links", "optin", "preferences", "unsubscribe")),
    ("channels.email", "FIRST_BYTE"),
)
"""For how long the daemon waits for its database, for a free connection, for a body, for a connection to the relay."""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take longer over an answer than anybody is let wait. Tests of that set their own."""
    for module, name in WAITS:
        monkeypatch.setattr(f"{module}.{name}", 60.0)


@dataclass(frozen=True)
class Said:
    """What a command ended with and what it printed."""

    code: int
    out: str
    err: str = ""


Typed = Callable[..., Awaitable[Said]]


def surroundings(**settings: str) -> dict[str, str]:
    """This process's environment with these settings of tillbell and no others."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("TILLBELL_")}
    return {**ours, "PYTHONPATH": str(ROOT), **{f"TILLBELL_{name.upper()}": text for name, text in settings.items()}}


async def type_in(*words: str, env: dict[str, str], cwd: Path | None = None) -> Said:
    """`tillbell WORDS` as a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "daemon",
        *words,
        env=env,
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return Said(process.returncode or 0, out.decode(), err.decode())


@pytest.fixture(scope="session")
def typist() -> Iterator[subprocess.Popen[bytes]]:
    """One for each pytest process: what it forks has everything imported already."""
    with subprocess.Popen(
        [sys.executable, ROOT / "tests/daemon/typist.py"], stdin=subprocess.PIPE, env=surroundings()
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def typed(typist: subprocess.Popen[bytes]) -> Typed:
    """`await typed("settings", poll_every="5m")`: the command in a process of its own, with these settings."""

    async def run(*words: str, **settings: str) -> Said:
        with tempfile.TemporaryDirectory(prefix="tillbell-typed-") as name:
            folder = Path(name)
            os.mkfifo(folder / "end")
            order = {"words": words, "env": surroundings(**settings), "folder": name}
            assert typist.stdin is not None
            typist.stdin.write(json.dumps(order).encode() + b"\n")
            typist.stdin.flush()
            code = await asyncio.to_thread((folder / "end").read_text)
            assert code, f"{words} ended by a signal"
            return Said(int(code), (folder / "out").read_text(), (folder / "err").read_text())

    return run


@pytest.fixture
def own_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A command sets up the logging of its process; here the process is pytest's, whose logging stays as it is."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(structlog, "configure", lambda **_: None)
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch, own_logging: None) -> Callable[[Any], Typed]:
    """`command = beside(town)`, then `await command("why", "c1")`: in this process, beside the town's daemon."""

    def at(town: Any, width: int = 120) -> Typed:
        for name in town.context.settings.model_fields_set:
            value = getattr(town.context.settings, name)
            text = value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
            monkeypatch.setenv(
                f"TILLBELL_{name.upper()}", f"{value.total_seconds()}s" if "timedelta" in repr(value) else text
            )
        monkeypatch.setenv("COLUMNS", str(width))

        async def run(*words: str) -> Said:
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                code = await app.run_async(list(words), result_action="return_value")
            return Said(code or 0, out.getvalue())

        return run

    return at
