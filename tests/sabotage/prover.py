"""Where tests run within a moment: all libraries are imported once, each run is a fork that reads the project anew.

A line of JSON on standard input, {"tests": [...], "env": {...}, "out": "..."}, becomes a run of pytest in the folder
that was named when this began; what it prints goes into the file `out`. Two answers: its process id, then "over".
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = frozenset({"bench", "channels", "daemon", "migrations", "rules", "tests", "tools"})
WORDS = ("-x", "-q", "-m", "not long", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")


def libraries() -> list[str]:
    """What the project imports of others, in that order. Asked of a fork: what the project itself leaves in them, a
    registry of metrics for one, must not be here already when it is read anew."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        for name in ("tests.conftest", "daemon.cli.serve", "daemon.demo.process", "daemon.doctor.signs"):
            importlib.import_module(name)
        found = [name for name in sys.modules if name.partition(".")[0] not in PROJECT | {"__main__"}]
        os.write(writing, json.dumps(found).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        return list(json.load(told))


def runs(order: dict[str, Any]) -> None:
    """In the fork, which leads a group of its own so that it can be ended with whatever it started."""
    os.setsid()
    out = os.open(order["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ.clear()
    os.environ.update(order["env"])
    random.seed()
    code = pytest.main([*WORDS, *order["tests"]])
    sys.stdout.flush()
    os._exit(int(code))


def main(folder: str) -> None:
    os.chdir(folder)
    sys.path[0] = folder
    sys.argv = ["pytest"]
    sys.dont_write_bytecode = False  # or each run would compile the project
    for name in libraries():
        with contextlib.suppress(Exception):  # some are only names that others go by
            importlib.import_module(name)
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            runs(json.loads(line))
        print(child, flush=True)
        os.waitpid(child, 0)
        print("over", flush=True)


if __name__ == "__main__":
    main(str(Path(sys.argv[1]).resolve()))
