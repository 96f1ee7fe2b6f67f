"""Carts at rest become recoveries, a set at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from daemon.store.database import Connection
from daemon.store.sql import load
from rules.enrolment import EnrolmentTerms

sql = load("enrolment")


@dataclass(frozen=True, slots=True)
class Judged:
    """One cart that was looked at. `row` holds lines, total, currency and changed_at where the word is 'ask'."""

    cart_id: int
    word: str
    policy: str | None
    recovery_id: int | None
    held_out: bool | None
    row: Mapping[str, Any]


async def enrol(
    db: Connection,
    shop_id: int,
    terms: Sequence[EnrolmentTerms],
    now: datetime,
    *,
    holdout: float,
    rehearsal: bool,
    most: int,
    answers: Mapping[tuple[int, str], bool],
) -> list[Judged]:
    """Each due cart with its word. `answers` are those to earlier 'ask', by cart and policy name."""
    rows = await sql.enrol(
        db,
        shop_id=shop_id,
        now=now,
        most=most,
        hashes=[one.hash for one in terms],
        names=[one.name for one in terms],
        rests=[one.rests_for for one in terms],
        least=[one.total_at_least for one in terms],
        currencies=[one.currency for one in terms],
        oldest=[one.not_older_than for one in terms],
        existing=[one.existing_customers_only for one in terms],
        again=[one.again_after for one in terms],
        asks=[one.has_condition for one in terms],
        never=["\n".join(one.never_like) for one in terms],
        groups=["\n".join(one.never_groups) for one in terms],
        ways=["\n".join(one.ways) for one in terms],
        answers={f"{cart} {policy}": holds for (cart, policy), holds in answers.items()},
        holdout=holdout,
        rehearsal=rehearsal,
    )
    return [
        Judged(row["cart_id"], row["word"], row["policy"], row["recovery_id"], row["held_out"], row) for row in rows
    ]
