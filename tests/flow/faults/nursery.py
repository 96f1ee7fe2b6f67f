"""Where workers come from within a tenth of a second: everything is imported once, each worker is a fork.

A line of JSON on standard input, {"env": {...}, "sabotage": "...", "fault": "...", "only": "worker"}, becomes
`tillbell run --only worker` in that environment; the answer is its process id. The end of the input ends them all.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from typing import Any

import channels
from daemon import faults, mail
from daemon.cli import serve
from daemon.flow import deliver
from daemon.store import messages
from rules.phones import barred


def sabotage(words: str) -> None:
    """Take guards out of this worker, so that a test can show that it would notice."""
    for word in words.split():
        {"slow": slow_gate, "slower": slower_gate, "unlocked": no_locks, "unasked": no_second_look}[word]()


def slower_gate() -> None:
    """So slow that what can come in between does, on any machine."""
    slow_gate(0.3)


def slow_gate(seconds: float = 0.03) -> None:
    """No sabotage: the gate takes its time between the facts and the claim."""
    move = messages.sql.move

    async def slowly(db: Any, **values: Any) -> Any:
        await db.execute(f"SELECT pg_sleep({seconds})")
        return await move(db, **values)

    messages.sql.move = slowly


def no_locks() -> None:
    """The claim locks neither persons nor messages."""
    for name, words in (
        ("due_people", ("shop_id", "channel", "now", "among", "most")),
        ("at_the_gate", ("now", "shop_id", "ids")),
    ):
        query = getattr(messages.sql, name)
        text, _, _ = query.sql.partition("FOR NO KEY UPDATE")

        async def unlocked(db: Any, text: str = text, words: tuple[str, ...] = words, **values: Any) -> Any:
            return await db.fetch(text, *(values[word] for word in words))

        setattr(messages.sql, name, unlocked)


def no_second_look() -> None:
    """Nobody looks again before the first byte."""

    async def always(self: Any, message: Any) -> bool:
        self.queued.discard(message.fence)
        return True

    deliver.Delivery.may_leave = always  # type: ignore[method-assign]


def work(order: dict[str, Any]) -> None:
    os.environ.update(order["env"])
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # libuv takes no connection for a standard stream
    sabotage(order["sabotage"])
    if order["fault"]:
        faults.arm(order["fault"])
    code = serve.run(only=order["only"])
    with suppress(OSError):
        os.write(2, f"left with {code}\n".encode())
    os._exit(code)


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    mail.load()
    channels.discover()
    barred("+4915112345678", ())  # reads what is known of numbers
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            work(json.loads(line))
        print(child, flush=True)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
