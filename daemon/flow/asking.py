"""Requests to confirm a consent on their way out: claimed, sent and recorded as any message is."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from channels import points
from channels.base import Channel, Content, Message, Outcome, Text
from daemon.batcher import Batcher
from daemon.clock import monotonic
from daemon.context import Context
from daemon.errors import ConfigurationError
from daemon.flow import allowances, mails
from daemon.flow.deliver import MARGIN, MOST, Delivery
from daemon.flow.optin import CHANNELS, code_hash, make_token, token_hash
from daemon.flow.pace import pace_of
from daemon.mail import MailError, Sender
from daemon.mail.confirmation import confirmation, text_of
from daemon.store import clock, messages, optins, work
from daemon.store import persons as people
from daemon.store.database import Connection, again
from daemon.store.optins import AtGate, Move

log = structlog.get_logger()

MOST_OVER = 500
CODE_VALID = timedelta(hours=10)


async def due_requests(context: Context, shop_id: int, now: datetime) -> int:
    """Claim and hand over what waits; how many were at the gate. Outcomes are recorded as they come."""
    if not await context.may_claim():
        return 0
    resting = await messages.resting(context.pool, shop_id)
    gated = 0
    for name in CHANNELS:
        channel = context.channels.get(name)
        if channel is None:
            await optins.wait_for_channel(context.pool, shop_id, name)
            continue
        if name in resting:
            continue
        sender = delivery(context, shop_id, channel)
        room = min(MOST, sender.room())
        if room <= 0:
            continue
        found, claimed = await claim(context, shop_id, channel, now, room)
        gated += found
        for message in claimed:
            sender.queued.add(message.fence)
            if sender.pace is not None:
                sender.pace.expected.add(message.fence)
        for group in _by_place(sender, claimed):
            task = asyncio.create_task(_at_its_place(sender, group))
            sender.under_way.add(task)
            task.add_done_callback(sender.under_way.discard)
    return gated


def _by_place(sender: Delivery, claimed: Sequence[Message]) -> list[list[Message]]:
    """Those that leave at once, and each that has a place in a provider's line by itself."""
    at_once = [one for one in claimed if one.id not in sender.places]
    return [*([at_once] if at_once else []), *([one] for one in claimed if one.id in sender.places)]


async def _at_its_place(sender: Delivery, group: Sequence[Message]) -> None:
    place = sender.places.pop(group[0].id, None)
    if place is not None:
        await asyncio.sleep(place - monotonic())
    await sender.channel.hand_over(group, sender.may_leave, sender.report)


async def claim(
    context: Context, shop_id: int, channel: Channel, now: datetime, most: int
) -> tuple[int, list[Message]]:
    """(how many were at the gate, those that may leave). Tokens are made here: only their hashes are ever kept. What
    the relay and the providers of mailboxes allow holds for these mails, too."""
    lease = channel.longest() + MARGIN
    plan = allowances.plan_of(context, shop_id, channel.name)

    async def once(db: Connection) -> tuple[int, list[Message]]:
        waiting = await optins.at_the_gate(db, shop_id, channel.name, most, now)
        moves, carried = [], {}
        for one in waiting:
            move, content = _passage(context, shop_id, channel.name, one, now)
            moves.append(move)
            if content is not None:
                carried[one.id] = (str(one.address), content)
        if plan is not None:
            addresses = {number: address for number, (address, _) in carried.items()}
            moves = await _within(db, delivery(context, shop_id, channel), plan, moves, addresses)
        fences = await optins.move(db, shop_id, moves, now, lease)
        points.reached("before_claim_commit")
        return len(waiting), [Message(shop_id, -number, fence, *carried[number]) for number, fence in fences.items()]

    found, claimed = await again(context.pool, once)
    if found:
        points.reached("after_claim_commit")
    return found, claimed


async def _within(
    db: Connection, sender: Delivery, plan: allowances.Plan, moves: Sequence[Move], addresses: Mapping[int, str]
) -> list[Move]:
    """The same moves; those that do not fit wait for a minute."""
    wishes = [allowances.Wish(number, allowances.domain_of(address)) for number, address in addresses.items()]
    found = await allowances.reserve(db, sender.channel.name, plan, wishes)
    rests = {number: place.reason for number, place in found.items() if isinstance(place, allowances.Rest)}
    for number, place in found.items():
        if isinstance(place, allowances.Place) and place.wait:
            sender.places[-number] = monotonic() + place.wait
    return [Move(one.id, "hold", rests[one.id]) if one.id in rests else one for one in moves]


def _passage(context: Context, shop_id: int, channel: str, one: AtGate, now: datetime) -> tuple[Move, Content | None]:
    if one.paused is not None:
        return Move(one.id, "hold", f"paused: {one.paused}"), None
    because = (
        (not one.address and "no address")
        or (not one.may_be_written_to and "not allowed")
        or (not one.same_address and "another address")
        or (one.suppressed and "suppressed")
        or (one.withdrawn and "withdrawn")
        or (one.rehearsal and "rehearsal")
    )
    if because:
        return Move(one.id, "cancelled", because), None
    if now > one.not_after:
        return Move(one.id, "expired", "its time was over"), None
    try:
        content, hashed = _content(context, shop_id, channel, one)
    except (MailError, ConfigurationError) as error:
        return Move(one.id, "cancelled", str(error)[:200]), None
    return Move(one.id, "go", token=hashed), content


def _content(context: Context, shop_id: int, channel: str, one: AtGate) -> tuple[Content, bytes]:
    """What goes out, with a secret made for this one attempt, and the secret's hash."""
    shop = context.keeper.book.shops[context.shop_name(shop_id)]
    if channel == "sms":
        code = f"{secrets.randbelow(1_000_000):06}"
        return Text(text_of(shop.shown_as, code, one.locale, shop.locale), CODE_VALID), code_hash(context, one.id, code)
    if shop.sender is None:
        raise ConfigurationError("the shop has no sender")
    token = make_token(shop_id)
    mail = confirmation(
        mails.face(shop),
        shop.sender.imprint or mails.NO_IMPRINT,
        Sender(shop.sender.address, shop.sender.name, shop.sender.reply_to or "", shop.sender.bounce_domain or ""),
        one.wording,
        f"{mails.base_url(context)}/y/{token}",
        (shop_id, one.id),
        context.secrets,
        context.pepper,
        one.locale,
        shop.locale,
    )
    return mail, token_hash(token)


def delivery(context: Context, shop_id: int, channel: Channel) -> Delivery:
    """The one of this process and shop for requests: the same last look, pace and patience as any message's."""
    key = (shop_id, f"opt-in {channel.name}")
    known = context.deliveries.get(key)
    if isinstance(known, Delivery):
        return known

    async def recheck(asked: Sequence[Message]) -> list[tuple[bool, float]]:
        asked_at = monotonic()
        wanted = await optins.still_wanted(context.pool, shop_id, [(-one.id, one.fence) for one in asked])
        return [(-one.id in wanted, asked_at) for one in asked]

    async def record(group: Sequence[tuple[Message, Outcome]]) -> list[None]:
        now = await clock.shop_now(context.pool)
        rows = [(-message.id, message.fence, outcome) for message, outcome in group]
        points.reached("recording")
        closed = await optins.record(context.pool, shop_id, rows, now)
        points.reached("recorded")
        if faults := [outcome for _, outcome in group if outcome.rest_channel]:
            await messages.rest_channel(context.pool, shop_id, channel.name, faults[0].error)
        await allowances.heed(context, channel.name, group)
        log.info("recorded", shop=context.shop_called(shop_id), channel=channel.name, opt_ins=len(closed))
        return [None] * len(group)

    made = Delivery(context, shop_id, channel, Batcher("opt-in record", record), Batcher("opt-in look", recheck), set())
    made.pace = pace_of(context, channel.name)
    context.deliveries[key] = made
    return made


async def tidy(context: Context, shop_id: int, now: datetime) -> int:
    """Leases that ran out are unknown, who asked yesterday is forgotten, and what nobody confirmed in its time is
    deleted; how many were lost."""
    lost = await optins.reap(context.pool, shop_id)
    await optins.forget(context.pool, shop_id, now)
    if over := await optins.over(context.pool, shop_id, now, MOST_OVER):
        await _delete(context, shop_id, over, now)
    return len(lost)


async def _delete(context: Context, shop_id: int, over: Mapping[int, int], now: datetime) -> None:
    """With whoever is known by nothing else; nobody begins to know them meanwhile."""

    async def once(db: Connection) -> int:
        await work.serialise(db, shop_id)
        await people.lock(db, shop_id, sorted(set(over.values())))
        return len(await optins.delete_over(db, shop_id, sorted(over), now))

    gone = await again(context.pool, once)
    log.info("stopped", shop=context.shop_called(shop_id), opt_ins=gone, kept="no more")
