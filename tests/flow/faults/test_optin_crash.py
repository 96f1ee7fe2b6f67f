"""A worker is killed at each named point of a request's way: nobody is asked twice by one request, and none is lost."""

from __future__ import annotations

from collections import Counter

import pytest

from daemon.faults import POINTS
from daemon.flow import asking, optin
from daemon.flow.consents import Proof
from daemon.shops.base import Customer

PROOF = Proof("form", wording="Ja, schreiben Sie mir über meinen Warenkorb.")
STATES = "SELECT state, count(*)::int FROM opt_in GROUP BY 1"
OVER = "UPDATE opt_in SET lease_until_real = clock_timestamp() WHERE state = 'sending'"
AT_ONCE = "UPDATE opt_in SET retry_real = NULL WHERE state = 'waiting'"
BETWEEN = ("after_claim_commit", "before_connect", "dot_written", "outcome_known", "recording")
"""Between the claim's commit and the record's: only here may a kill leave what nobody knows."""


class Requests:
    """On one stage, with workers that die one after the other."""

    def __init__(self, stage):
        self.stage, self.made = stage, 0

    async def ask(self, count):
        for _ in range(count):
            self.made += 1
            who = Customer(email=f"p{self.made}@example.org")
            context, now = self.stage.context, await self.stage.now()
            assert await optin.request(context, self.stage.shop_id, who, ["email_mkt"], PROOF, now) == "asked"

    async def states(self):
        return Counter(dict(await self.stage.fetch(STATES)))

    async def killed_at(self, point, count):
        """How many the dead worker had claimed and not told of."""
        stage = self.stage
        await self.ask(count)
        before = await self.states()
        worker = await stage.worker(fault=f"{point}:kill:1")

        async def gone():
            return not worker.lives()

        await stage.until(gone)
        await stage.sessions_end()
        assert worker.fired(point)
        after = await self.states()
        left = after["sending"]
        if point == "recording":  # the answer has not come, but what was said may have been done
            assert left + after["accepted"] - before["accepted"] >= 1
        elif point in BETWEEN:
            assert left >= 1, point
        elif point == "before_claim_commit":
            assert left == 0
        elif point == "recorded":
            assert (await self.states())["accepted"] > before["accepted"]
        await stage.context.pool.execute(OVER)
        await asking.tidy(stage.context, stage.shop_id, await stage.now())
        await stage.bell_forgets()
        await stage.context.pool.execute("UPDATE work SET holder = NULL, lease_until_real = NULL")
        await stage.context.pool.execute(AT_ONCE)
        return left

    async def rest(self):
        """By an honest worker; how often the relay took each request."""
        stage = self.stage
        await stage.worker()

        async def done():
            states = await self.states()
            return not states["waiting"] and not states["sending"]

        await stage.until(done)
        return Counter(known_as for known_as, _, _ in (await stage.relay.ask("taken"))["taken"])


async def no_request_twice(make_stage, points, counts):
    stage = await make_stage(smtp_connections="2")
    await stage.relay.ask(delay=0.02)
    requests = Requests(stage)
    unknown = sum([await requests.killed_at(point, count) for point in points for count in counts])
    await requests.ask(1)
    copies = await requests.rest()
    states = await requests.states()
    print(f"{len(stage.born) - 1} kills: {dict(states)}, the relay took {len(copies)}, none twice")
    assert {request for request, count in copies.items() if count > 1} == set()
    assert states == +Counter(accepted=requests.made - unknown, unknown=unknown)
    assert len(copies) >= states["accepted"]
    await stage.no_deadlocks()
    await stage.books_are_clean()


async def test_a_kill_asks_nobody_twice_and_loses_no_request(make_stage):
    await no_request_twice(make_stage, ["dot_written"], [2])


@pytest.mark.long
async def test_a_kill_at_any_point_asks_nobody_twice(make_stage):
    await no_request_twice(make_stage, list(POINTS), [1, 3, 6])
