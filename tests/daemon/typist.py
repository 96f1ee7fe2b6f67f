"""Where commands come from without importing everything anew: each is a fork with an environment of its own.

A line of JSON on standard input, {"words": […], "env": {…}, "folder": "…"}, becomes `tillbell WORDS`. What it prints
lies in the files `out` and `err` of that folder; what it ended with is written into the pipe `end`.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from typing import Any

from daemon import cli


def types(order: dict[str, Any]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    folder, code = order["folder"], 70
    end = os.open(f"{folder}/end", os.O_WRONLY)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT, 0o600), number)
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv = ["tillbell", *order["words"]]
    try:
        cli.main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(end, str(code).encode())
        os._exit(code)


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for place in cli.COMMANDS:
        importlib.import_module(f"daemon.cli.{place.partition(':')[0]}")
    importlib.import_module("daemon.migrate")
    for line in sys.stdin:
        if os.fork() == 0:
            types(json.loads(line))


if __name__ == "__main__":
    main()
