"""The header fields of one mail, and the mail as the channel takes it.

`Auto-Submitted` is left out on purpose: out-of-office programs stay silent on `List-Id` already (RFC 5230 section 4.6),
Exchange on `X-Auto-Response-Suppress`, and mail of which a person is to reply should not call itself a machine's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from channels.base import Mail
from daemon import tokens
from daemon.mail.errors import NO_IMPRINT, MailError
from daemon.mail.links import web_url
from daemon.mail.plain import clean

ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@([A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+)")
LABEL = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Sender:
    """Who writes. Addresses are ASCII; `bounce_domain` takes what comes back, empty for the domain of `address`."""

    address: str
    name: str = ""
    reply_to: str = ""
    bounce_domain: str = ""


@dataclass(frozen=True, slots=True)
class Errand:
    """Which message this is. `shop` is the shop's word in shops.yaml."""

    shop_id: int
    message_id: int
    shop: str
    programme: str
    policy: str
    step: str
    unsubscribe_url: str
    """The same as in the content; must be https for one-click to count (RFC 8058 section 3.1)."""
    rehearsal: bool = False


def compose_mail(
    content: Mapping[str, str], sender: Sender, errand: Errand, secrets: tokens.Secrets, pepper: bytes
) -> Mail:
    """The mail from its stored content (`Rendered.stored()`). `pepper` never rotates, so the Message-ID stays the same
    on every attempt. Raises `MailError` for a sender that no mail can come from."""
    domain = domain_of(sender.address, "the sender's address")
    if sender.reply_to:
        domain_of(sender.reply_to, "the address for replies")
    return Mail(
        subject=content["subject"],
        text=content["text"],
        html=content["html"],
        sender=sender.address,
        sender_name=clean(sender.name, 80),
        message_id=message_id(errand, domain, pepper),
        envelope_sender=envelope_sender(errand, sender.bounce_domain or domain, secrets),
        reply_to=sender.reply_to,
        headers=header_fields(content.get("language", ""), domain, errand),
    )


def header_fields(language: str, domain: str, errand: Errand) -> tuple[tuple[str, str], ...]:
    """In order, each value in plain ASCII on one line."""
    unsubscribe = web_url(errand.unsubscribe_url)
    if not unsubscribe:
        raise MailError("a mail needs a way to unsubscribe")
    fields = [
        ("List-Unsubscribe", f"<{unsubscribe}>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("List-Id", f"<{label(errand.programme)}.{label(errand.shop)}.{domain.lower()}>"),
        ("Feedback-ID", f"{label(errand.step)}:{label(errand.policy)}:{label(errand.shop)}:tillbell"),
        ("X-Auto-Response-Suppress", "OOF, AutoReply"),
    ]
    if language:
        fields.append(("Content-Language", language))
    if errand.rehearsal:
        fields.append(("X-Tillbell-Rehearsal", "yes"))
    return tuple(fields)


def message_id(errand: Errand, domain: str, pepper: bytes) -> str:
    """Without brackets; the same for the same message, another one in another installation (RFC 5322 section 3.6.4)."""
    key = blake2b(pepper, digest_size=32).digest()
    mark = blake2b(f"{errand.shop_id}.{errand.message_id}".encode(), key=key, digest_size=6).hexdigest()
    return f"t.{errand.shop_id}.{errand.message_id}.{mark}@{domain.lower()}"


def envelope_sender(errand: Errand, domain: str, secrets: tokens.Secrets) -> str:
    """One address for each message (VERP): what comes back to it can only mean this one."""
    token = tokens.Token("bounce", errand.shop_id, errand.message_id, rehearsal=errand.rehearsal)
    return f"b+{tokens.make_local_part(secrets, token)}@{domain.lower()}"


def sender_findings(sender: Sender, imprint: Sequence[str]) -> list[str]:
    """For `check`: what is wrong with a sender, one sentence each; empty when mails can come from it."""
    findings = []
    for address, called in (
        (sender.address, "the sender's address"),
        (sender.reply_to or sender.address, "the address for replies"),
    ):
        try:
            domain_of(address, called)
        except MailError as error:
            findings.append(str(error))
            break  # a missing address for replies is the sender's own: told once
    if sender.bounce_domain and not ADDRESS.fullmatch(f"b@{sender.bounce_domain}"):
        findings.append(f"the bounce domain is no domain: {clean(sender.bounce_domain, 80)!r}")
    if not any(clean(line, 200) for line in imprint):
        findings.append(NO_IMPRINT)
    return findings


def domain_of(address: str, called: str) -> str:
    match = ADDRESS.fullmatch(address)
    if match is None:
        raise MailError(f"{called} is not one plain address: {clean(address, 80)!r}")
    return match[1]


def label(text: str) -> str:
    """A word as a label of a domain name (RFC 2919 section 2): small letters, digits, hyphens."""
    return LABEL.sub("-", text.lower()).strip("-")[:63] or "x"
