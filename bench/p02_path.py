"""P2: the whole path of a mail in one process, from a due recovery to the recorded answer; four kinds take turns.

Ours as it is, to a relay that takes 8 bits and to one that does not; the same path with the standard library's composer
and aiosmtplib; and one row at a time through all of it: one recovery decided, its mail rendered from templates that are
compiled anew, claimed, sent over a connection of its own and recorded before the next is looked at.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from email.utils import localtime

import aiosmtplib

from bench.crowd import cart, keep_all
from bench.measured import Measured, Row
from bench.phases import STEPS, drained, inside_sending
from bench.place import NOON, Meter, Place, settle
from bench.post import Relay, open_relay
from channels.address import one
from channels.base import Channel, MayLeave, Message, Receipt, Withheld
from channels.compose import compose
from daemon.context import Context
from daemon.flow import decide, deliver, prepare
from daemon.mail import Template, markup
from daemon.mail.sandbox import Sandbox
from daemon.mail.template import expanded, gathered
from daemon.store import clock

CONNECTIONS = 10
EARLIER = 50
"""Mails that leave before, so that it is a shop that has been running: all was asked before, tables have statistics."""


def sources() -> tuple[str, str]:
    """The reminder as Jinja, HTML and text."""
    mjml, text = expanded("remind", gathered(None)[0])
    return str(markup.to_html(mjml, "remind.mjml")), text


SOURCES = sources()


class Usual(Channel):
    """EmailMessage and aiosmtplib: kept connections, or a new one for each mail."""

    name = "email"
    address = "email"

    def __init__(self, port: int, *, kept: int = CONNECTIONS) -> None:
        self.port = port
        self.kept = kept
        self.idle: list[aiosmtplib.SMTP] = []
        self.places = asyncio.Semaphore(max(1, kept))

    def ready(self) -> int:
        return CONNECTIONS

    def longest(self) -> timedelta:
        return timedelta(seconds=60)

    def may_have_left(self, message: Message) -> bool:  # noqa: ARG002
        return True

    async def send(self, message: Message, may_leave: MayLeave) -> Receipt:
        async with self.places:
            octets = compose(message.content, one(message.address), localtime())
            if not await may_leave(message):
                raise Withheld("not any more")
            new = aiosmtplib.SMTP(hostname="127.0.0.1", port=self.port, start_tls=False)
            client = self.idle.pop() if self.idle else new
            if not client.is_connected:
                await client.connect()
            await client.sendmail(message.content.envelope_sender, [message.address], octets)
            if self.kept:
                self.idle.append(client)
            else:
                await client.quit()
        return Receipt()

    async def close(self) -> None:
        await asyncio.gather(*(client.quit() for client in self.idle))


async def measure(place: Place, mails: int = 600, rounds: int = 2) -> Measured:
    """`mails` in each turn, a tenth of them one row at a time."""
    meters = {kind: Meter(place.postgres()) for kind in ("8 bit", "7 bit", "usual", "singly")}
    async with open_relay() as relay, open_relay(eight_bit=False) as old:
        async with crowd(place, relay, mails // 10, "8 bit") as context:
            await together(context)  # so that the first turn is not the one that warms everything up
        for _ in range(rounds):
            for kind, meter in meters.items():
                size = mails // 10 if kind == "singly" else mails
                async with crowd(place, old if kind == "7 bit" else relay, size, kind) as context:
                    with meter:
                        await (singly(context, size) if kind == "singly" else together(context))
        inside = await inside_sending(place, relay, mails)
    sent = {kind: rounds * (mails // 10 if kind == "singly" else mails) for kind in meters}
    fast = {kind: sent[kind] / meter.wall for kind, meter in meters.items()}
    said = {kind: f"{fast[kind]:,.0f}/s, {meter.per(sent[kind])}" for kind, meter in meters.items()}
    rows = [
        Row("P2", "EmailMessage and aiosmtplib", said["usual"]),
        Row("P2", "whole path, to that", said["8 bit"], fast["8 bit"] / fast["usual"], 6),
        Row("P2", "one row at a time", said["singly"]),
        Row("P2", "whole path, to that", said["8 bit"], fast["8 bit"] / fast["singly"], 15),
        Row("P5", "whole path in 8 bit, to quoted-printable", said["7 bit"], fast["8 bit"] / fast["7 bit"], 1.3),
    ]
    return Measured(rows, {f"{kind}_per_s": round(speed, 1) for kind, speed in fast.items()}, [inside])


@asynccontextmanager
async def crowd(place: Place, relay: Relay, mails: int, kind: str) -> AsyncIterator[Context]:
    """So many recoveries that are due, and the channel of this kind."""
    async with place.household(
        smtp_host="127.0.0.1", smtp_port=relay.port, smtp_tls="none", smtp_connections=CONNECTIONS
    ) as context:
        if kind in ("usual", "singly"):
            await context.channels["email"].close()
            context.channels = {"email": Usual(relay.port, kept=CONNECTIONS if kind == "usual" else 0)}
        await come_to_rest(context, range(mails, mails + EARLIER))
        await together(context)
        await drained(context, STEPS["decided"])  # what comes next of them is due tomorrow
        await come_to_rest(context, range(mails))
        await settle(context)
        yield context


async def come_to_rest(context: Context, carts: range) -> None:
    await keep_all(context, (cart(n, NOON, consents=True) for n in carts), NOON)
    await drained(context, STEPS["enrolled"])


async def together(context: Context) -> None:
    for name, step in STEPS.items():
        if name != "enrolled":
            await drained(context, step)


async def singly(context: Context, mails: int) -> None:
    shop_id = context.shop_ids["main"]
    sender = deliver.delivery(context, shop_id, context.channels["email"])
    for _ in range(mails):
        now = await clock.shop_now(context.pool)
        await decide.due_recoveries(context, shop_id, now, 1)
        context.templates = compiled_anew(context.templates)
        await prepare.planned_messages(context, shop_id, await clock.shop_now(context.pool), 1)
        _, claims = await deliver.claim(context, shop_id, "email", await clock.shop_now(context.pool), 1)
        if len(claims) != 1:
            raise SystemExit(f"{len(claims)} messages could be claimed instead of one")
        deliver._hand_over(sender, claims)  # the product has no such path
        while sender.under_way:
            await asyncio.wait(sender.under_way)


def compiled_anew(known: Mapping[str, Template]) -> dict[str, Template]:
    """The reminder as if its source had come with this mail."""
    html, text = SOURCES
    fresh = replace(
        known["remind"], html=Sandbox(html=True).from_string(html), text=Sandbox(html=False).from_string(text)
    )
    return {**known, "remind": fresh}
