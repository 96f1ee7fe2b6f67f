"""What the relay says of itself: reachable, TLS, log-in, and what EHLO offers."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from channels.base import NotSent, Unclear
from channels.email import Email, is_loopback
from daemon.doctor.reason import Reason

SOON = timedelta(days=21)
"""Certificates are renewed earlier than this before their end."""
PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Relay:
    """One connection, as far as it came."""

    where: str
    tls: str
    loopback: bool
    problem: str = ""
    offers: frozenset[str] = frozenset()
    size_limit: int = 0
    """Octets; 0 where none is named."""
    valid_until: datetime | None = None
    """Of its certificate; None without TLS."""
    login: bool = False


async def call(email: Email) -> Relay:
    """Connect, greet, encrypt, log in and hang up: no envelope is given."""
    config = email.config
    where, loopback = f"{config.host}:{config.port}", is_loopback(config.host)
    try:
        async with asyncio.timeout(PATIENCE):
            line = await email.open()
    except (NotSent, Unclear, TimeoutError) as error:
        return Relay(where, config.tls, loopback, problem=str(error) or "no answer within 30 seconds")
    try:
        transport = line.client.transport
        peer = transport.get_extra_info("peercert") if transport is not None else None
        until = datetime.fromtimestamp(ssl.cert_time_to_seconds(peer["notAfter"]), UTC) if peer else None
        offers = frozenset(word for word in ("pipelining", "8bitmime", "dsn", "size", "smtputf8") if line.offers(word))
        return Relay(where, config.tls, loopback, "", offers, line.size_limit, until, bool(config.username))
    finally:
        line.client.close()


def of_relay(relay: Relay, now: datetime, largest: int) -> list[Reason]:
    """`largest`: octets of our largest mail; `now`: machine time."""
    if relay.problem:
        return [_wrong(f"the relay {relay.where} cannot be used: {relay.problem}", "see TILLBELL_SMTP_*")]
    found = []
    if relay.tls == "none" and not relay.loopback:
        found.append(_wrong(f"mails go to {relay.where} unencrypted", "TILLBELL_SMTP_TLS=starttls, or implicit"))
    if relay.valid_until is not None and relay.valid_until - now < SOON:
        days = max(0, (relay.valid_until - now).days)
        text = f"the certificate of {relay.where} ends in {days} days"
        found.append(_wrong(text, "tell whoever runs it: after that no mail is sent"))
    if relay.size_limit and relay.size_limit < largest:
        text = f"{relay.where} takes mails of {relay.size_limit:,} bytes, our largest has {largest:,}"
        found.append(_wrong(text, "raise its limit, or make the template smaller"))
    found += [
        Reason("relay", f"{relay.where} does not offer {word.upper()}", hint, amiss=False)
        for word, hint in (
            ("pipelining", "each mail takes several round trips"),
            ("8bitmime", "mails are written in 7 bits, which is larger"),
            ("dsn", "whether it was delivered is only known from bounces"),
        )
        if word not in relay.offers
    ]
    return found


def _wrong(text: str, hint: str) -> Reason:
    return Reason("relay", text, hint)
