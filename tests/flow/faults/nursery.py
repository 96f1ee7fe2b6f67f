"""Where workers come from within a tenth of a second: everything is imported once, each worker is a fork.

A line of JSON on standard input, {"env": {...}, "sabotage": "..."}, becomes `tillbell run --only worker` in that
environment; the answer is its process id. The end of the input ends them all.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

from daemon import mail
from daemon.cli import serve
from daemon.flow import deliver
from daemon.store import messages


def unasked(name: str) -> None:
    """Take one guard out of this worker, so that a test can show that it would notice."""
    if name == "lock":  # the persons are not locked
        before = messages.sql.due_people

        async def unlocked(db: Any, **values: Any) -> Any:
            text = before.sql.replace("FOR NO KEY UPDATE OF p SKIP LOCKED", "")
            return await db.fetch(text, *(values[name] for name in ("shop_id", "channel", "now", "most")))

        messages.sql.due_people = unlocked
    if name == "recheck":  # nobody looks again before the first byte

        async def always(self: Any, message: Any) -> bool:
            return True

        deliver.Delivery.may_leave = always  # type: ignore[method-assign]


def work(order: dict[str, Any]) -> None:
    os.environ.update(order["env"])
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(0)
    unasked(order.get("sabotage", ""))
    os._exit(serve.run(only="worker"))


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    mail.load()
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            work(json.loads(line))
        print(child, flush=True)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
