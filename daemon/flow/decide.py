"""Step 4, decided: due recoveries in batches: facts in one query, the rules for each, all results in one write."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any

import structlog

from daemon.context import Context
from daemon.flow import budgets, policies
from daemon.flow.writers import WRITERS
from daemon.slices import in_slices
from daemon.store import decisions, facts, persons, recoveries
from daemon.store.database import Connection, again
from daemon.store.decisions import Result
from daemon.store.facts import Case
from rules.facts import Facts, Send, Stop, Verdict, Wait
from rules.ladder import decide

log = structlog.get_logger()

MOST = 500
values_of = attrgetter(*decisions.ASKED)


async def due_recoveries(context: Context, shop_id: int, now: datetime, most: int = MOST) -> int:
    """How many recoveries the rules were asked about."""
    ids = await decisions.due(context.pool, shop_id, now, most)
    if not ids:
        return 0
    cases = await facts.of_recoveries(context.pool, shop_id, ids, policies.shop_facts(context, shop_id, now))
    spoken = await policies.of_shop(context, context.pool, shop_id, {case.policy_hash for case in cases.values()})
    budget = await budgets.left(context, shop_id, now)
    results = []
    async for case in in_slices(cases.values()):
        if case.open:
            facts_now = dataclasses.replace(case.facts, budget=budget) if budget else case.facts
            verdict = decide(spoken.of(case.policy_name, case.policy_hash), facts_now, now)
            nowhere = (
                case.rehearsal
                and isinstance(verdict, Send)
                and not WRITERS[verdict.channel].address(context, shop_id, case, rehearsal=True)
            )
            results.append(_result(case, verdict, nowhere=nowhere))

    async def body(db: Connection) -> list[Any]:
        stopping = [cases[result.recovery_id].person_id for result in results if result.verdict == "stop"]
        if stopping:
            await persons.lock(db, shop_id, stopping)
        took_effect = await decisions.record(db, shop_id, results, now)
        bought = [row["id"] for row in took_effect if row["verdict"] == "stop" and row["reason"] == "purchase"]
        if bought:
            await recoveries.link_purchases(db, shop_id, bought)
        return took_effect

    _tell(context, shop_id, await again(context.pool, body))
    return len(ids)


def _tell(context: Context, shop_id: int, took_effect: list[Any]) -> None:
    counts = Counter(row["verdict"] for row in took_effect)
    log.info("decided", shop=context.shop_name(shop_id), **counts)
    for row in took_effect:
        if row["verdict"] == "stop":
            log.info("stopped", shop=context.shop_name(shop_id), recovery=row["id"], because=row["reason"])
    if counts["send"]:
        context.ring("prepare", shop_id)
        if any(row["state"] == "withheld" for row in took_effect):
            context.ring("decide", shop_id)


def _result(case: Case, verdict: Verdict, *, nowhere: bool) -> Result:
    """The verdict as it will be kept. Who is held out goes the whole way as a shadow: the step is taken, not sent."""
    common = Result(
        recovery_id=case.recovery_id,
        was_wake=case.wake_at,
        verdict="",
        because=verdict.because,
        questions=[values_of(question) for question in verdict.questions],
        facts=small(case.facts),
        facts_no=case.facts_no,
        policy_hash=case.policy_hash,
    )
    if isinstance(verdict, Stop):
        return dataclasses.replace(common, verdict="stop", reason=verdict.reason)
    if isinstance(verdict, Wait):
        return dataclasses.replace(common, verdict="wait", until=verdict.until)
    withheld = "holdout" if case.held_out else "rehearsal" if nowhere else None
    return dataclasses.replace(
        common,
        verdict="send",
        step=verdict.step,
        channel=verdict.channel,
        due_at=verdict.due_at,
        not_after=verdict.not_after,
        basis=verdict.basis.kind,
        evidence=verdict.basis.evidence,
        consent_id=verdict.basis.consent_id,
        state="withheld" if withheld else "planned",
        reason=withheld,
    )


def small(known: Facts) -> Mapping[str, Any]:
    """The facts that a decision is kept with: no address, no name, nothing that another row tells better."""
    person = known.person
    return {
        "changed_at": known.cart.changed_at.isoformat(),
        "total": f"{known.cart.total} {known.cart.currency}",
        "lines": len(known.cart.lines),
        "cart": known.cart.state,
        "reachable": sorted(person.addresses),
        "suppressed": sorted(person.suppressed),
        "consents": {purpose: consent.state for purpose, consent in sorted(person.consents.items())},
        "last_order": person.last_bought.ref if person.last_bought else None,
        "active_at": person.active_at.isoformat() if person.active_at else None,
        "taken": {one.step: [one.state, *sorted(one.reactions)] for one in known.taken},
        "counted": len(known.counted),
        "on_hold": known.on_hold,
    }
