"""Where the post is fetched: the shop's mailbox, over IMAP. What is not about a mail of ours is left alone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import structlog

from daemon.context import Context
from daemon.flow import letterbox
from daemon.post import finding
from daemon.post.imap import Mailbox, MailboxError, Place
from daemon.post.listener import LARGEST
from daemon.store import clock, work
from rules.shops import MailboxWords

log = structlog.get_logger()

PATIENCE = timedelta(seconds=120)
"""For one look at all folders."""
LEASE = PATIENCE + timedelta(seconds=30)
NEVER = timedelta(days=365)
MOST = 500
"""Mails of a folder in one look; the rest comes with the next."""
PROGRESS = 20
FIRST = timedelta(days=14)
"""How far back the first look at a folder goes."""
TAKEN_AWAY = frozenset({"failed", "delayed", "delivered", "relayed", "expanded", "complained"})
"""What nobody needs to read; replies stay as they are, unread, for the shop."""


@dataclass(slots=True)
class Look:
    """One look at one shop's mailbox; `state` holds, by folder, its validity and the highest number that was seen."""

    context: Context
    shop_id: int
    words: MailboxWords
    state: dict[str, Any]
    box: Mailbox
    kept: int = 0
    more: bool = False


async def look(context: Context, shop_id: int, now: datetime) -> int:
    """Single-flight: how many mails were taken into the inbox."""
    name = context.shop_name(shop_id)
    words = context.keeper.book.shops[name].mailbox
    taken = await work.take(context.pool, shop_id, "mailbox", context.process, LEASE)
    if taken is None:
        return 0
    try:
        if taken.due_at > now:
            return 0
        state, more, kept = dict(taken.state), False, 0
        if words is not None:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                state, more, kept = await _looked(context, shop_id, words, state)
        pause = timedelta() if more else context.settings.poll_every if words else NEVER
        await work.done(context.pool, shop_id, "mailbox", context.process, state, now + pause, now)
    except (MailboxError, TimeoutError) as error:
        await work.failed(context.pool, shop_id, "mailbox", str(error) or type(error).__name__)
        log.warning("tracked", shop=name, mailbox="not read", because=str(error) or type(error).__name__)
        return 0
    finally:
        await work.give_back(context.pool, shop_id, "mailbox", context.process)
    if kept:
        log.info("tracked", shop=name, mailbox=kept)
    return kept


async def _looked(
    context: Context, shop_id: int, words: MailboxWords, state: dict[str, Any]
) -> tuple[dict[str, Any], bool, int]:
    place = Place(words.host, words.port, words.tls, words.user, words.password)
    one = Look(context, shop_id, words, state, await asyncio.to_thread(Mailbox, place))
    try:
        today = (await clock.machine_now(context.pool)).date()
        for folder in words.folders:
            await _folder(one, folder, today)
    finally:
        one.box.close()  # whoever is still waiting for the server in a thread gets an error, and the thread ends
    return one.state, one.more, one.kept


async def _folder(one: Look, folder: str, today: date) -> None:
    validity = await asyncio.to_thread(one.box.select, folder)
    known = one.state.get(folder)
    if known and known[0] == validity:
        numbers = await asyncio.to_thread(one.box.behind, known[1])
    else:
        numbers = await asyncio.to_thread(one.box.since, today - FIRST)
        before = (numbers or [max(await asyncio.to_thread(one.box.behind, 0), default=0) + 1])[0] - 1
        one.state[folder] = [validity, before]
    one.more = one.more or len(numbers) > MOST
    for count, number in enumerate(numbers[:MOST], 1):
        await _mail(one, number)
        one.state[folder] = [validity, number]
        if count % PROGRESS == 0:
            context = one.context
            await work.progress(context.pool, one.shop_id, "mailbox", context.process, one.state, LEASE)


async def _mail(one: Look, number: int) -> None:
    """Kept first, marked afterwards: whatever falls between is kept once more, which changes nothing."""
    head = await asyncio.to_thread(one.box.head, number)
    if not _may_be_ours(one.context, head):
        return
    raw = await asyncio.to_thread(one.box.whole, number, LARGEST)
    found = await asyncio.to_thread(finding.read, raw)
    about = letterbox.whose(one.context, found)
    if about is None or not one.context.knows(about.shop_id):
        return
    await letterbox.store(one.context, about.shop_id, raw, about)
    one.kept += 1
    if found.kind not in TAKEN_AWAY:
        return
    try:
        if one.words.handled:
            await asyncio.to_thread(one.box.move, number, one.words.handled)
        else:
            await asyncio.to_thread(one.box.mark_read, number)
    except MailboxError as error:
        log.warning("tracked", mailbox="a report stays where it is", because=str(error))


def _may_be_ours(context: Context, head: bytes) -> bool:
    """By its header alone: it came to an address of ours, answers a mail of ours, or is a report."""
    found = finding.read(head)
    report = found.return_path == "" or b"multipart/report" in head.lower()
    return report or letterbox.whose(context, found) is not None
