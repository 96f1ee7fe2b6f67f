"""What goes out on each channel, and to whom: one writer a channel, and the steps know nothing else of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from channels.base import Content
from daemon.book import Book
from daemon.context import Context
from daemon.flow import mails, members, notices, pushes, texts
from daemon.flow.mails import Wares
from daemon.settings import Settings
from daemon.store.facts import Case
from daemon.store.messages import Claim, Prepared, ToPrepare
from rules.shops import ShopWords
from rules.source import Mistake


class Writer(Protocol):
    """A module that makes the messages of one channel. Nothing in it touches a row or waits for anybody."""

    def prepare(self, context: Context, shop_id: int, one: ToPrepare, case: Case, wares: Wares) -> Prepared:
        """What the outbox keeps of it. Raises MailError, or NothingToShow when there is nothing left to write about."""

    def composed(self, context: Context, shop_id: int, claim: Claim, case: Case) -> Content:
        """What the channel gets of a claimed message. Raises MailError."""

    def address(self, context: Context, shop_id: int, case: Case, *, rehearsal: bool) -> str:
        """Whom it goes to, as the facts are now; empty: to nobody."""

    def unable(self, shop: ShopWords, settings: Settings) -> str:
        """Why nothing could leave on this channel for this shop, as a sentence; empty: it could."""


WRITERS: Mapping[str, Writer] = {
    "audience": members,
    "email": mails,
    "onsite": notices,
    "sms": texts,
    "webpush": pushes,
}


def mistakes(book: Book, settings: Settings) -> Iterator[Mistake]:
    """Steps that could never leave, with the place of the first of each channel in its rule file."""
    for shop, policies in book.policies_by_shop.items():
        for policy in policies:
            channels = {step.send: no for no, step in reversed([*enumerate(policy.steps)])}
            for channel, no in channels.items():
                if because := WRITERS[channel].unable(book.shops[shop], settings):
                    place = book.trees[policy.name].find(("steps", no, "send"))
                    yield Mistake(place, f'nothing can leave on {channel} in the shop "{shop}": {because}')
