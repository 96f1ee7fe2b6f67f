"""Machine time in one place. Shop time lives in the database: daemon.store.clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def machine_now() -> datetime:
    """The host's wall clock, for log lines, journals and files only: never for what a customer gets and when."""
    return datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251


def monotonic() -> float:
    """Seconds, for time-outs and rests of this process."""
    return time.monotonic()
