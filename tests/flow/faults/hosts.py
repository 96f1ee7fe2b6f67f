"""Hosts with workers of their own, and what is asked of them: go on without each other, be faster together."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterable
from time import perf_counter

from tests.flow.faults.conftest import Stage, Worker

CONNECTIONS = 5
MOST_UNKNOWN = 2 * CONNECTIONS
"""Of a worker that dies: what it had claimed and nobody knows of."""
WAITING = (
    "SELECT count(*) FROM message WHERE state NOT IN ('accepted', 'unknown', 'sending') AND not_before < '2100-01-01'"
)
TRIES = 3
"""To be faster together."""
SENDING = "SELECT count(*) FROM message WHERE state = 'sending'"
NO_BACK_OFF = "UPDATE message SET retry_real = NULL WHERE state = 'retry_wait'"
LATER = "UPDATE message SET not_before = '2100-01-01', not_after = '2101-01-01' WHERE state = 'prepared'"
DUE = "UPDATE message SET not_before = $2 WHERE id IN (SELECT id FROM message WHERE state = 'prepared' LIMIT $1)"


class Host:
    """So many workers that live and die together."""

    def __init__(self, workers: Iterable[Worker]) -> None:
        self.workers = list(workers)

    def dies(self) -> None:
        for one in self.workers:
            os.kill(one.pid, signal.SIGKILL)

    async def under_way(self, stage: Stage) -> list[int]:
        """How many mails each of its workers is about to hand over, as the relay sees it."""
        under_way = (await stage.relay.ask("under_way"))["under_way"]
        return [under_way.get(one.name, 0) for one in self.workers]


async def taken(stage: Stage) -> list[str]:
    """The Message-IDs that the relay took, each as often as it did."""
    return [message_id for message_id, _, _ in (await stage.relay.ask("taken"))["taken"]]


async def each_has_its_hands_full(stage: Stage, mails: int) -> None:
    """So many are due, and on each worker's connections there is one that the relay has taken without saying so."""
    await stage.relay.ask(delay=0.1, hold=True)
    await stage.context.pool.execute(DUE, mails, await stage.now())

    async def all_held() -> bool:
        held: int = (await stage.relay.ask("held"))["held"]
        return held == CONNECTIONS * len(stage.born)

    await stage.until(all_held)


async def goes_on_alone(stage: Stage, host: Host) -> None:
    """It does so, and to the end: what is left then is what others had claimed."""
    before = len(await taken(stage))

    async def goes_on() -> bool:
        return len(await taken(stage)) > before + 2 * MOST_UNKNOWN * len(host.workers)

    await stage.until(goes_on)

    async def only_what_others_claimed_is_left() -> bool:
        await stage.context.pool.execute(NO_BACK_OFF)
        return not await stage.value(WAITING) and not any(await host.under_way(stage))

    await stage.until(only_what_others_claimed_is_left)


async def leases_run_out(stage: Stage) -> None:
    """What nobody spoke of again is unknown."""
    await stage.leases_end()

    async def all_recorded() -> bool:
        return not await stage.value(SENDING)

    await stage.until(all_recorded)


async def nothing_twice(stage: Stage, *lost: Host) -> None:
    """No copy, little that nobody knows of, and nothing taken that is not on the books."""
    most = MOST_UNKNOWN * sum(len(host.workers) for host in lost)

    async def the_living_have_told() -> bool:
        """Whose leases were ended with those of the dead."""
        return (await stage.states()).get("unknown", 0) <= most

    await stage.until(the_living_have_told)
    copies, states = Counter(await taken(stage)), await stage.states()
    unknown = states.get("unknown", 0)
    print(f"{states}; the relay took {copies.total()}")
    assert {copy for copy, count in copies.items() if count > 1} == set()
    assert states["accepted"] <= copies.total() <= states["accepted"] + unknown
    await stage.no_deadlocks()
    await stage.books_are_clean()


async def are_there(stage: Stage) -> None:
    """All workers that were born have come into the house."""

    async def came() -> bool:
        there: int = await stage.value("SELECT count(*) FROM heartbeat WHERE kind = 'worker'")
        return there == len(stage.born)

    await stage.until(came)


async def faster(stage: Stage, mails: int, than: float) -> float:
    """The best rate of three looks, if the first ones are not faster than that: nothing but a machine that was busy
    elsewhere is forgiven."""
    found = 0.0
    for _ in range(TRIES):
        found = max(found, await rate(stage, mails))
        if found > than:
            break
    return found


async def rate(stage: Stage, mails: int) -> float:
    """Mails a second, of so many that come due at once."""
    before = len(await taken(stage))
    began = perf_counter()
    await stage.context.pool.execute(DUE, mails, await stage.now())

    async def all_taken() -> bool:
        return len(await taken(stage)) == before + mails

    await stage.until(all_taken, within=90)
    found = mails / (perf_counter() - began)

    async def all_recorded() -> bool:
        return (await stage.states()).get("accepted") == before + mails

    await stage.until(all_recorded)
    return found
