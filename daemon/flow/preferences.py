"""What a person chooses for themselves: channels, how often, a pause, their language. In effect for the next claim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from daemon.context import Context
from daemon.flow import consents
from daemon.flow.consents import Proof
from daemon.store import clock, members, persons, recoveries
from daemon.store import consents as ledger
from daemon.store.consents import Choice
from daemon.store.database import Connection, again

log = structlog.get_logger()

PURPOSE_OF: Mapping[str, str] = {"email": "email_mkt", "sms": "sms_mkt", "webpush": "push_mkt"}
PAUSES = (30, 90)
"""Days."""
SOURCE = "preference centre"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the form says. `pause`: 0 for none, days for a new one, None to leave it as it is."""

    on: frozenset[str]
    """Channels, of those that were shown."""
    fewer: bool
    pause: int | None
    locale: str


def channels(choice: Choice) -> dict[str, bool]:
    """The channels that there is something to choose about, and whether each is on."""
    shown = {}
    for channel, purpose in PURPOSE_OF.items():
        word = choice.consents.get(purpose, "")
        if channel == "email" or word in ("confirmed", "withdrawn"):
            shown[channel] = word != "withdrawn" and not {channel, "any"} & choice.suppressed
    return shown


async def change(context: Context, shop_id: int, message_id: int, wishes: Wishes, proof: Proof) -> Choice | None:
    """Under the person's lock, in one transaction. The person as they are then; None when they are not kept."""

    async def once(db: Connection) -> Choice | None:
        now = await clock.shop_now(db)
        before = await ledger.choice(db, shop_id, message_id)
        while before is not None:
            await persons.lock(db, shop_id, [before.person_id])
            read = await ledger.choice(db, shop_id, message_id)
            if read is None or read.person_id == before.person_id:
                break
            before = read  # merged into somebody else meanwhile
        if before is None or read is None:
            return None
        await _switch(db, shop_id, message_id, read, wishes, proof, now)
        await members.heed(db, shop_id, [read.person_id], now)
        until = read.resting_until if wishes.pause is None else _until(wishes.pause, now)
        await ledger.choose(db, shop_id, read.person_id, fewer=wishes.fewer, resting_until=until, locale=wishes.locale)
        return await ledger.choice(db, shop_id, message_id)

    after = await again(context.pool, once)
    if after is not None:
        log.info("tracked", shop=context.shop_called(shop_id), message=message_id, chosen="preferences")
        context.ring("decide", shop_id)
    return after


def _until(days: int, now: datetime) -> datetime | None:
    return now + timedelta(days=days) if days else None


async def _switch(
    db: Connection, shop_id: int, message_id: int, before: Choice, wishes: Wishes, proof: Proof, now: datetime
) -> None:
    shown = channels(before)
    for channel, was_on in shown.items():
        only_merged = bool({channel, PURPOSE_OF[channel]} & before.by_merge)
        if channel not in wishes.on and (was_on or only_merged):
            await _off(db, shop_id, message_id, before, channel, proof, now)
        elif not was_on and channel in wishes.on:
            await _on(db, shop_id, before, channel, proof, now)
    if any(shown.values()) and not any(channel in wishes.on for channel in shown):
        await recoveries.end_of_persons(db, shop_id, [before.person_id], "unsubscribed", now)


async def _off(
    db: Connection, shop_id: int, message_id: int, who: Choice, channel: str, proof: Proof, now: datetime
) -> None:
    """As by the unsubscribe link: the address is suppressed, and a consent that there was is withdrawn. What only
    a merge did is said anew as their own word, so that it stays when the two are parted."""
    if (hashed := _address(who, channel)) is not None:
        await ledger.suppress(db, shop_id, channel, hashed, f"message {message_id}", now)
    purpose = PURPOSE_OF[channel]
    if who.consents.get(purpose, "withdrawn") != "withdrawn" or purpose in who.by_merge:
        await consents.write(db, shop_id, who.person_id, [purpose], "withdrawn", proof, now)


async def _on(db: Connection, shop_id: int, who: Choice, channel: str, proof: Proof, now: datetime) -> None:
    """By their own wish again: only their own wish is lifted. The link came to the mail address, so for e-mail the
    button is a consent; on the other channels it can only bring back one that there was."""
    if channel not in who.unsubscribed and who.consents.get(PURPOSE_OF[channel]) != "withdrawn":
        return
    if (hashed := _address(who, channel)) is not None:
        await ledger.lift(db, shop_id, channel, hashed)
    purpose = PURPOSE_OF[channel]
    if who.consents.get(purpose) != "withdrawn":
        return
    earlier = await ledger.before_withdrawal(db, shop_id, who.person_id, purpose)
    if earlier is not None and (earlier["state"] == "confirmed" or channel != "email"):
        again_as = Proof(
            proof.source, f"{earlier['evidence']}; {proof.evidence}".strip("; "), earlier["wording"], proof.source_url,
            proof.ip, proof.user_agent, requested_at=earlier["at"],
        )  # fmt: skip
        await consents.write(db, shop_id, who.person_id, [purpose], earlier["state"], again_as, now)
    elif channel == "email":
        await consents.write(db, shop_id, who.person_id, [purpose], "confirmed", proof, now)


def _address(who: Choice, channel: str) -> bytes | None:
    return {"email": who.email_hmac, "sms": who.phone_hmac}.get(channel)
