"""The shoppers at work: they act on the shop, read their mails, and follow the links in them. HTTP and SMTP only."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar
from yarl import URL

from daemon.demo.catalogue import WARES
from daemon.demo.mailbox import Letter, Mailbox
from daemon.demo.shop import Cart, Consent, Patron, PretendShop
from daemon.demo.shoppers import (
    APPLE_PRIVACY,
    BROWSER,
    GRID,
    READERS,
    SCANNERS,
    Shopper,
    after_leaving,
    after_mail,
    on_grid,
    when_awake,
)

Do = Callable[["Life"], Awaitable[None]]
MINUTE = timedelta(minutes=1)
LINES = 200
"""Sentences that are kept to be shown."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened, as a sentence."""

    at: datetime
    word: str
    text: str


@dataclass(slots=True)
class Life:
    """One shopper with all that became of them. `deeds` are (minutes since the start, what they did)."""

    who: Shopper
    patron: Patron
    cart: Cart | None = None
    steps: list[str] = field(default_factory=list)
    texts: int = 0
    pushes: int = 0
    deeds: list[tuple[int, str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.who.first_name} {self.who.last_name}"


class Town:
    """`now` is moved by whoever plays. Due deeds are done in a fixed order: by time, then by shopper."""

    def __init__(self, shop: PretendShop, mailbox: Mailbox, people: Sequence[Shopper], start: datetime) -> None:
        self.shop = shop
        self.mailbox = mailbox
        self.start = start
        self.now = start
        self.tally: Counter[str] = Counter()
        self.prompted = 0
        """Of those who bought: who had followed a link of a mail before."""
        self.lines: deque[Line] = deque(maxlen=LINES)
        self.lives = {who.email: Life(who, self._introduced(who)) for who in people}
        self.landed: Callable[[Life, URL], None] = lambda *_: None
        """What the script on the shop's pages does when somebody came by a link of ours."""
        self._plan: list[tuple[datetime, int, int, Life, Do]] = []
        self._order = itertools.count()
        self._read = 0
        self._session: ClientSession | None = None
        for life in self.lives.values():
            self.plan(when_awake(life.who, start + life.who.comes_after, "coming"), life, self._leaves)

    async def __aenter__(self) -> Town:
        self._session = ClientSession(
            cookie_jar=DummyCookieJar(), timeout=ClientTimeout(total=30), headers={"Accept-Language": "de"}
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    def plan(self, at: datetime, life: Life, do: Do) -> None:
        heapq.heappush(self._plan, (at, life.who.number, next(self._order), life, do))

    def next_deed(self) -> datetime | None:
        """When somebody does something next."""
        return self._plan[0][0] if self._plan else None

    async def act(self) -> int:
        """Do all that is due by now. How much that was."""
        done = 0
        while self._plan and self._plan[0][0] <= self.now:
            *_, life, do = heapq.heappop(self._plan)
            await do(life)
            done += 1
        return done

    async def read_mail(self) -> int:
        """Hand out what came; how many letters that were. In order of their recipients, not of their arrival."""
        fresh = self.mailbox.letters[self._read :]
        self._read += len(fresh)
        known = [(self.lives[letter.recipient], letter) for letter in fresh if letter.recipient in self.lives]
        for life, letter in sorted(known, key=lambda pair: (pair[0].who.number, pair[1].step)):
            await self._gets(life, letter)
        return len(fresh)

    # Coming, changing one's mind

    def _introduced(self, who: Shopper) -> Patron:
        """As the shop knows them on the first day."""
        dice = who.dice("history")
        ago = self.start - timedelta(days=dice.randrange(20, 300), minutes=dice.randrange(1440))
        purposes = ["email_mkt"] if who.relation == "subscriber" else []
        purposes += ["track_open", "track_click"] if who.followed else []
        purposes += sorted(who.takes - {"push_mkt"})  # that one is given by a browser
        patron = self.shop.customer(
            Patron(
                email=who.email,
                ref=f"k{who.number:05}" if who.has_account else "",
                first_name=who.first_name,
                last_name=who.last_name,
                locale=who.locale,
                zone=who.zone,
                country=who.country,
                phone=who.phone,
                consents=tuple(Consent(purpose, ago) for purpose in purposes),
            )
        )
        if who.relation == "customer":
            self.shop.bought_before(patron, {dice.choice(list(WARES)): 1}, ago)
        if who.gone:
            self.mailbox.dead.add(who.email)
        return patron

    async def _leaves(self, life: Life) -> None:
        life.cart = self.shop.leaves_cart(life.patron, dict(life.who.wants))
        mind = after_leaving(life.who)
        if mind.checks_out:
            await self.shop.checks_out(life.cart)
        first = WARES[life.who.wants[0][0]].name("en")
        more = f" and {len(life.who.wants) - 1} more" if len(life.who.wants) > 1 else ""
        self.tell(life, "left", f"{life.name} leaves a cart with {first}{more}")
        for after, do in (
            (mind.buys_after, self._buys),
            (mind.changes_after, self._changes),
            (mind.empties_after, self._empties),
        ):
            if after is not None:
                self.plan(self._soon(life, after, "own accord"), life, do)

    async def _buys(self, life: Life) -> None:
        if life.cart is not None and not life.cart.ended:
            await self.shop.buys(life.cart)
            prompted = "clicked" in {word for _, word in life.deeds}
            self.prompted += prompted
            self.tell(life, "bought", f"{life.name} buys, {'after a message' if prompted else 'unprompted'}")

    async def _changes(self, life: Life) -> None:
        if life.cart is not None and not life.cart.ended:
            items = dict(life.cart.items)
            first = next(iter(items))
            self.shop.changes(life.cart, {**items, first: items[first] + 1})
            self.tell(life, "changed", f"{life.name} comes back and changes the cart")

    async def _empties(self, life: Life) -> None:
        if life.cart is not None and not life.cart.ended:
            self.shop.empties(life.cart)
            self.tell(life, "emptied", f"{life.name} empties the cart")

    # Mails

    async def _gets(self, life: Life, letter: Letter) -> None:
        life.steps.append(letter.step)
        self.tell(life, "mailed", f"{life.name} gets “{letter.subject}”")
        if life.who.scanned:
            await self._scanned(life, letter)
        if life.who.reader == "apple":
            self.later(life, timedelta(minutes=3), lambda one: self._prefetched(one, letter))
        mind = after_mail(life.who, letter.step)
        if mind.opens_after is not None:
            at = self._soon(life, mind.opens_after, letter.step)
            self.plan(at, life, lambda one: self._opens(one, letter))

    async def _scanned(self, life: Life, letter: Letter) -> None:
        """A company's filter follows everything there is, within a second of the mail's arrival."""
        agent = life.who.dice("scanner").choice(SCANNERS)
        found = letter.found
        for url in (*found.hidden, *found.links, *found.pictures, letter.unsubscribe_url):
            await self.fetch(url, agent, "HEAD")
            await self.fetch(url, agent)
        self.tell(life, "scanned", f"a filter follows all links of {life.name}'s mail")

    async def _prefetched(self, life: Life, letter: Letter) -> None:
        for url in letter.found.pictures:
            await self.fetch(url, APPLE_PRIVACY)
        self.tell(life, "prefetched", f"Apple fetches the pictures of {life.name}'s mail")

    async def _opens(self, life: Life, letter: Letter) -> None:
        mind = after_mail(life.who, letter.step)
        if life.who.reader != "apple":  # what Apple has fetched in advance is not fetched again
            for url in letter.found.pictures:
                await self.fetch(url, READERS[life.who.reader])
        self.tell(life, "opened", f"{life.name} reads “{letter.subject}”")
        if mind.clicks_after is not None:
            self.later(life, mind.clicks_after, lambda one: self._clicks(one, letter))
        if mind.unsubscribes_after is not None:
            self.later(life, mind.unsubscribes_after, lambda one: self._unsubscribes(one, letter))

    async def _clicks(self, life: Life, letter: Letter) -> None:
        mind, links = after_mail(life.who, letter.step), letter.found.links
        page = await self.fetch(links[mind.link % len(links)], BROWSER)
        await self.follows(life, "the mail", page, mind.buys_after)
        if mind.changes_after is not None and life.cart is not None and not life.cart.ended:
            self.later(life, mind.changes_after, self._changes)

    async def follows(self, life: Life, what: str, page: URL, buys_after: timedelta | None) -> None:
        """They came by a link of ours to this page of the shop, and see their cart again."""
        self.tell(life, "clicked", f"{life.name} follows a link of {what}")
        self.landed(life, page)
        if life.cart is None or life.cart.ended:
            return
        self.shop.visits(life.cart)
        if buys_after is not None:
            self.later(life, buys_after, self._buys)

    async def _unsubscribes(self, life: Life, letter: Letter) -> None:
        mind, url = after_mail(life.who, letter.step), letter.unsubscribe_url
        if mind.one_click:
            await self.fetch(url, READERS[life.who.reader], "POST", {"List-Unsubscribe": "One-Click"})
        else:
            await self.fetch(url, BROWSER)
            await self.fetch(url, BROWSER, "POST", {"do": "unsubscribe"})
        self.tell(life, "unsubscribed", f"{life.name} unsubscribes")
        if mind.thinks_better:
            self.later(life, GRID, lambda one: self._takes_back(one, url))

    async def _takes_back(self, life: Life, url: str) -> None:
        await self.fetch(url, BROWSER, "POST", {"do": "undo"})
        self.tell(life, "took back", f"{life.name} takes that back")

    # How

    async def fetch(self, url: str, agent: str, method: str = "GET", form: dict[str, str] | None = None) -> URL:
        """As a browser does it, redirects included; where it ended. Raises RuntimeError for an answer that no person
        should see."""
        assert self._session is not None
        options: dict[str, Any] = {"data": form} if form else {}
        async with self._session.request(method, url, headers={"User-Agent": agent}, **options) as answer:
            await answer.read()
            if answer.status >= 500:
                raise RuntimeError(f"{method} {answer.url.path} answered {answer.status}")
            return answer.url

    def tell(self, life: Life, word: str, text: str) -> None:
        self.tally[word] += 1
        life.deeds.append((round((self.now - self.start) / MINUTE), word))
        self.lines.append(Line(self.now, word, text))

    def later(self, life: Life, after: timedelta, do: Do) -> None:
        self.plan(self._rounded(after), life, do)

    def _soon(self, life: Life, after: timedelta, occasion: str) -> datetime:
        """After that span, but not in the middle of the night."""
        return when_awake(life.who, self._rounded(after), occasion)

    def _rounded(self, after: timedelta) -> datetime:
        return self.start + on_grid(self.now + after - self.start)
