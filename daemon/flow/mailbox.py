"""Where the post is fetched: the shop's mailbox, over IMAP. What is not about a mail of ours is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Self

import structlog

from daemon.context import Context
from daemon.flow import letterbox
from daemon.logs import told
from daemon.post import finding
from daemon.post.imap import Mailbox, MailboxError, Place
from daemon.post.listener import LIMITS
from daemon.store import clock, work
from daemon.store.database import is_transient
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
TRIES = 5
"""So often a mail that cannot be fetched or read holds up those behind it; then it is stepped over."""
LATER = timedelta(hours=1)
"""Machine time after which one that was stepped over is tried again."""
MOST_LEFT = 100
"""Numbers that are kept of a folder's mails that were stepped over: the newest."""
TAKEN_AWAY = frozenset({"failed", "delayed", "delivered", "relayed", "expanded", "complained"})
"""What nobody needs to read; replies stay as they are, unread, for the shop."""


class Unread(Exception):
    """The mail at hand could not be fetched, read or kept."""


@dataclass(slots=True)
class Folder:
    """How far a folder was read. `tries`: in vain, of the mail that is next; `left`: those that were stepped over, with
    the machine time from which on they are tried again; both by number."""

    validity: int
    seen: int
    tries: dict[str, int] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)

    @classmethod
    def kept(cls, row: list[Any] | None) -> Self | None:
        """From the state of the work; None for a folder that was never looked into."""
        return cls(row[0], row[1], *({**more} for more in row[2:])) if row else None

    def row(self) -> list[Any]:
        more = [self.tries, self.left] if self.tries or self.left else []
        return [self.validity, self.seen, *more]

    def step_on(self, number: int) -> None:
        self.seen, self.tries = number, {}

    def in_vain(self, number: int, now: datetime) -> None:
        """It is tried again at the next look, or left where it is."""
        tries = self.tries.get(str(number), 0) + 1
        if tries < TRIES:
            self.tries = {str(number): tries}
            return
        self.step_on(number)
        self.put_off(number, now)

    def put_off(self, number: int, now: datetime) -> None:
        self.left.pop(str(number), None)
        self.left[str(number)] = (now + LATER).isoformat()
        self.left = dict(sorted(self.left.items(), key=lambda one: int(one[0]))[-MOST_LEFT:])


@dataclass(slots=True)
class Look:
    """One look at one shop's mailbox; `folders` by name. `at`: the mail that is being fetched or read."""

    context: Context
    shop_id: int
    words: MailboxWords
    folders: dict[str, Folder]
    box: Mailbox | None = None
    now: datetime | None = None
    """Machine time at the beginning."""
    at: tuple[str, int] | None = None
    kept: int = 0
    more: bool = False

    def state(self) -> dict[str, Any]:
        return {name: folder.row() for name, folder in self.folders.items()}

    async def save(self) -> None:
        context = self.context
        await work.progress(context.pool, self.shop_id, "mailbox", context.process, self.state(), LEASE)


async def look(context: Context, shop_id: int, now: datetime) -> int:
    """Single-flight: how many mails were taken into the inbox."""
    name = context.shop_name(shop_id)
    words = context.keeper.book.shops[name].mailbox
    taken = await work.take(context.pool, shop_id, "mailbox", context.process, LEASE)
    if taken is None:
        return 0
    try:
        if taken.due_at > now or taken.resting:
            return 0
        if words is None:
            await work.done(context.pool, shop_id, "mailbox", context.process, dict(taken.state), now + NEVER, now)
            return 0
        folders = {folder: was for folder, row in taken.state.items() if (was := Folder.kept(row))}
        one = Look(context, shop_id, words, folders)
        if await _looked(one, name):
            pause = timedelta() if one.more else context.settings.poll_every
            await work.done(context.pool, shop_id, "mailbox", context.process, one.state(), now + pause, now)
    finally:
        await work.give_back(context.pool, shop_id, "mailbox", context.process)
    if one.kept:
        log.info("tracked", shop=name, mailbox=one.kept)
    return one.kept


async def _looked(one: Look, name: str) -> bool:
    """Whether it went well; if not, what was read stays read, and the work rests."""
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            await _all(one)
    except (MailboxError, TimeoutError, Unread) as error:
        because = str(error) or type(error).__name__
        if one.at and one.now:
            folder, number = one.at
            one.folders[folder].in_vain(number, one.now)
            because = f"mail {number} of {folder}: {because}"
        await one.save()
        await work.failed(one.context.pool, one.shop_id, "mailbox", because)
        log.warning("tracked", shop=name, mailbox="not read", because=because)
        return False
    return True


async def _all(one: Look) -> None:
    words = one.words
    place = Place(words.host, words.port, words.tls, words.user, words.password)
    one.box = await asyncio.to_thread(Mailbox, place)
    try:
        one.now = await clock.machine_now(one.context.pool)
        for folder in words.folders:
            await _folder(one, one.box, folder, one.now.date())
        for name, folder_of_before in one.folders.items():
            if name not in words.folders:
                folder_of_before.left.clear()  # nobody looks there any more
        await _once_more(one, one.box, one.now)
    finally:
        one.box.close()  # whoever is still waiting for the server in a thread gets an error, and the thread ends


async def _folder(one: Look, box: Mailbox, name: str, today: date) -> None:
    validity = await asyncio.to_thread(box.select, name)
    folder = one.folders.get(name)
    if folder is not None and folder.validity == validity:
        numbers = await asyncio.to_thread(box.behind, folder.seen)
    else:
        numbers = await asyncio.to_thread(box.since, today - FIRST)
        before = (numbers or [max(await asyncio.to_thread(box.behind, 0), default=0) + 1])[0] - 1
        folder = one.folders[name] = Folder(validity, before)
    one.more = one.more or len(numbers) > MOST
    for count, number in enumerate(numbers[:MOST], 1):
        await _mail(one, box, name, number)
        folder.step_on(number)
        if count % PROGRESS == 0:
            await one.save()


async def _once_more(one: Look, box: Mailbox, now: datetime) -> None:
    """Those that were stepped over, when all else is read: until one of them fails again, for the line may be gone."""
    for name in one.words.folders:
        folder = one.folders[name]
        due = [int(number) for number, at in folder.left.items() if datetime.fromisoformat(at) <= now]
        if due:
            await asyncio.to_thread(box.select, name)
        for number in due:
            folder.put_off(number, now)
            try:
                await _mail(one, box, name, number)
            except Unread as error:
                log.warning("tracked", mailbox="a mail stays unread", folder=name, number=number, because=str(error))
                return
            finally:
                one.at = None
            del folder.left[str(number)]


async def _mail(one: Look, box: Mailbox, folder: str, number: int) -> None:
    """Kept first, marked afterwards: whatever falls between is kept once more, which changes nothing. Raises Unread,
    and then it is named in `one.at`."""
    one.at = (folder, number)
    try:
        await _taken(one, box, number)
    except Exception as error:
        if is_transient(error):
            one.at = None
            raise
        if isinstance(error, MailboxError):
            raise Unread(str(error)) from error
        log.error("tracked", mailbox="a mail cannot be read", folder=folder, number=number, problem=told(error))
        raise Unread(f"a fault of ours: {type(error).__name__}") from error
    one.at = None


async def _taken(one: Look, box: Mailbox, number: int) -> None:
    head = await asyncio.to_thread(box.head, number)
    if not _may_be_ours(one.context, head):
        return
    raw = await asyncio.to_thread(box.whole, number, LIMITS.largest)
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
            await asyncio.to_thread(box.move, number, one.words.handled)
        else:
            await asyncio.to_thread(box.mark_read, number)
    except MailboxError as error:
        log.warning("tracked", mailbox="a report stays where it is", because=str(error))


def _may_be_ours(context: Context, head: bytes) -> bool:
    """By its header alone: it came to an address of ours, answers a mail of ours, or is a report."""
    found = finding.read(head)
    report = found.return_path == "" or b"multipart/report" in head.lower()
    return report or letterbox.whose(context, found) is not None


def stepped_over(state: Mapping[str, Any]) -> list[str]:
    """By folder, the mails that could not be fetched or read: sentences, from the state of the work."""
    found = {name: folder.left for name, row in sorted(state.items()) if (folder := Folder.kept(row)) and folder.left}
    return [f"{name}: {_mails(list(left))} could not be fetched or read" for name, left in found.items()]


def _mails(numbers: list[str]) -> str:
    more = f" and {len(numbers) - 10} more" if len(numbers) > 10 else ""
    word = "the mail" if len(numbers) == 1 else "the mails"
    return f"{word} with the UID {', '.join(numbers[:10])}{more}"
