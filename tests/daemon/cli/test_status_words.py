"""How `tillbell status` says how long something takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

from rich.console import Console

from daemon.cli import look
from daemon.store.allowances import Held
from daemon.store.shops import Beat


def test_long_times_are_said_in_hours():
    out = Console(file=StringIO(), width=200)
    look._held(
        out, {"main": [Held("email", "held by the allowance of the relay: 1 in 24 hours", 3, timedelta(hours=23))]}
    )
    beat = Beat("worker-1", "worker", "0.1.0", 0, timedelta(hours=5, minutes=3, seconds=7), "")
    look._status(out, datetime(2026, 3, 2, 9, tzinfo=UTC), [beat], [], [])
    assert out.file.getvalue().splitlines() == [
        "shop main: email: 3 held by the allowance of the relay: 1 in 24 hours; the next in 23 h",
        "shop time 2026-03-02 09:00 UTC",
        "process worker-1 (worker, 0.1.0): heard of 5 h 3 min ago",
    ]
