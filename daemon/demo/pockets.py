"""What reaches shoppers beside their mails, and what they do with it: texts, web pushes, notices in the shop."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar
from yarl import URL

from daemon.clock import machine_now, monotonic
from daemon.demo.push_service import Browser, PushService, text64
from daemon.demo.rulebook import NAME
from daemon.demo.shoppers import BROWSER, GRID, Shopper, minutes, when_awake
from daemon.demo.twilio import Text, Twilio

if TYPE_CHECKING:
    from daemon.demo.town import Life, Town

SENDER = "+4930901820"
"""What the shop's texts come from."""
ANSWERS = {"de": "Danke, ich melde mich", "en": "Thanks, I will be back"}
DWELL = 1.1
"""Seconds of machine time that somebody has to look at a page until the script believes that it is somebody."""
SETTLES = timedelta(minutes=40)
"""After leaving a cart: until then the shop has been looked at."""
COMES_BY = (timedelta(hours=5), timedelta(hours=23))
"""After leaving a cart: when they look at the shop again, of their own accord."""
LINK = re.compile(r"https?://\S+")


@dataclass(frozen=True, slots=True)
class AfterText:
    """What somebody does with a text, a push or a notice; None: not at all."""

    follows_after: timedelta | None = None
    buys_after: timedelta | None = None
    answer: str = ""


def after_text(who: Shopper, occasion: str) -> AfterText:
    """The same for the same occasion, whenever it comes."""
    dice = who.dice(occasion)
    kind, span, buys = dice.random(), dice.random(), dice.random()
    if occasion == "text" and kind < 0.08:
        return AfterText(answer="STOP" if kind < 0.05 else ANSWERS[who.locale[:2]])
    if kind < 0.45:
        return AfterText(minutes(2, 50, span), GRID if buys < 0.5 else None)
    return AfterText()


def badge_of(key: str, customer: str) -> str:
    """As docs/onsite.md tells a shop to make it."""
    exp = int((machine_now() + timedelta(hours=1)).timestamp())
    body = text64(json.dumps({"shop": NAME, "customer": customer, "exp": exp}).encode())
    return f"{body}.{text64(hmac.digest(key.encode(), body.encode(), 'sha256'))}"


class Pockets:
    """Hands out what came. `url`: where tillbell is reached; `key`: with which the shop says who looks at its pages."""

    def __init__(self, town: Town, twilio: Twilio, pushes: PushService, url: str, key: str) -> None:
        self.town = town
        self.twilio = twilio
        self.pushes = pushes
        self.url = url
        self.key = key
        self.by_phone = {life.who.phone: life for life in town.lives.values() if life.who.phone}
        self.browsers: dict[str, tuple[Life, Browser]] = {}
        """By the shopper's address: their browser, if it takes pushes."""
        self.visitors: dict[str, str] = {}
        """By the shopper's address: what their browser was called by tillbell, if they allowed that."""
        self._texts = 0
        self._visits_so_far = 0
        self._shown: set[tuple[str, str]] = set()
        self._session: ClientSession | None = None
        town.landed = self._landed
        for life in town.lives.values():
            if life.who.has_account and life.who.takes:
                comes = when_awake(life.who, town.start + life.who.comes_after, "coming")
                town.plan(comes + SETTLES, life, self._allows)
                for span in COMES_BY:
                    at = when_awake(life.who, comes + span, f"coming by after {span}")
                    town.plan(at, life, self._comes_by)

    async def __aenter__(self) -> Self:
        self._session = ClientSession(cookie_jar=DummyCookieJar(), timeout=ClientTimeout(total=30))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def read(self) -> int:
        """How many things came, in order of their owners and not of their arrival."""
        await self.twilio.settled()
        fresh = self.twilio.texts[self._texts :]
        self._texts += len(fresh)
        for text in sorted(fresh, key=lambda one: (one.to, one.body)):
            if life := self.by_phone.get(text.to):
                await self._texted(life, text)
        shown = [
            (life, tag, notice)
            for email, (life, browser) in sorted(self.browsers.items())
            for tag, notice in sorted(browser.shown.items())
            if (email, tag) not in self._shown
        ]
        for life, tag, notice in shown:
            self._shown.add((life.who.email, tag))
            self._pushed(life, notice)
        return len(fresh) + len(shown)

    async def _texted(self, life: Life, text: Text) -> None:
        town, mind = self.town, after_text(life.who, "text")
        life.texts += 1
        town.tell(life, "texted", f"{life.name}'s phone: “{text.body[:40]}…”")
        if mind.answer:
            town.later(life, GRID, lambda one: self._answers(one, mind.answer))
        elif mind.follows_after is not None and (link := LINK.search(text.body)):
            town.later(life, mind.follows_after, lambda one: self._follows(one, link[0], mind))

    def _pushed(self, life: Life, notice: Mapping[str, Any]) -> None:
        town, mind = self.town, after_text(life.who, "push")
        life.pushes += 1
        town.tell(life, "pushed", f"{life.name}'s browser shows “{notice.get('title', '')}”")
        url = str(notice.get("url", ""))
        if mind.follows_after is not None and url:
            town.later(life, mind.follows_after, lambda one: self._follows(one, url, mind))

    async def _allows(self, life: Life) -> None:
        """On a page of the shop they say yes to notices, or to pushes, too: the script there does what this does."""
        pushes = "push_mkt" in life.who.takes
        told = {"allow": ["report", "notices", *(["push"] if pushes else [])], "device": "desktop"}
        self.visitors[life.who.email] = (await self._says(life, "visitors", told))["visitor"]
        who = self._who(life)
        await self._visits(life)
        if not pushes:
            return
        push = (await self._says(life, "notices", {**who, "lang": life.who.locale}))["push"]
        browser = self.pushes.browser(push["key"])
        keys = {"p256dh": browser.p256dh, "auth": browser.auth}
        subscription = {"endpoint": browser.endpoint, "keys": keys}
        await self._says(life, "subscriptions", {**who, "subscription": subscription, "wording": push["title"]})
        self.browsers[life.who.email] = (life, browser)
        self.town.tell(life, "allowed", f"{life.name} allows the shop's pushes")

    def _who(self, life: Life) -> dict[str, str]:
        """As the shop's page says it of who is logged in."""
        return {"visitor": self.visitors[life.who.email], "badge": badge_of(self.key, life.patron.ref)}

    async def _visits(self, life: Life) -> None:
        self._visits_so_far += 1
        visit = {"id": f"visit-{self._visits_so_far:08}", "type": "visit"}
        await self._says(life, "events", {**self._who(life), "events": [visit]})

    async def _comes_by(self, life: Life) -> None:
        """They look at the shop, and at what hangs there for them."""
        if not life.patron.ref or life.who.email not in self.visitors:
            return
        await self._visits(life)
        asked = await self._says(life, "notices", {**self._who(life), "lang": life.who.locale})
        if (notice := asked["notice"]) is None:
            return
        mind = after_text(life.who, "notice")
        follows = mind.follows_after is not None
        self.town.tell(life, "noticed", f"{life.name} is back in the shop, which says “{notice['title']}”")
        for what in ("shown", "clicked" if follows else "dismissed"):
            await self._says(life, "reactions", {"notice": notice["token"], "what": what})
        if follows:
            page = await self.town.fetch(str(notice["url"]), BROWSER)
            await self.town.follows(life, "the notice", page, mind.buys_after)

    async def _says(self, life: Life, what: str, told: Mapping[str, Any]) -> Any:
        """What the script on the shop's page asks, from the shopper's own network."""
        assert self._session is not None
        at_home = f"100.{64 + life.who.number // 250}.{life.who.number % 250}.7"
        headers = {
            "Origin": self.town.shop.url,
            "Content-Type": "text/plain",
            "X-Forwarded-For": at_home,
            "User-Agent": BROWSER,
        }
        async with self._session.post(f"{self.url}/site/{NAME}/{what}", json=told, headers=headers) as answer:
            if answer.status >= 300:
                raise RuntimeError(f"/site/{NAME}/{what} answered {answer.status}: {await answer.text()}")
            return await answer.json() if answer.status == 200 else None

    async def _answers(self, life: Life, text: str) -> None:
        status = await self.twilio.writes(f"{self.url}/hooks/channel/sms", life.who.phone, text, to=SENDER)
        if status >= 300:
            raise RuntimeError(f"an answer to a text was answered {status}")
        word = "said stop" if text == "STOP" else "answered"
        self.town.tell(life, word, f"{life.name} answers the text: {text}")

    async def _follows(self, life: Life, url: str, mind: AfterText) -> None:
        page = await self.town.fetch(url, BROWSER)
        await self.town.follows(life, "the text or push", page, mind.buys_after)

    def _landed(self, life: Life, page: URL) -> None:
        """They look at it for a while, and the script there says so."""
        if landing := page.query.get("tb"):
            at = monotonic()
            self.town.later(life, GRID, lambda one: self._looks(one, landing, at))

    async def _looks(self, life: Life, landing: str, at: float) -> None:
        await asyncio.sleep(max(0.0, at + DWELL - monotonic()))
        await self._says(life, "landings", {"landing": landing})
