"""What a mail is to us: a report on one of ours, a complaint, somebody's reply, or a machine's. Only thinking."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from daemon.post import mime
from daemon.post.automatic import by_machine, speaks_of_failure
from daemon.post.mime import Part, fields_of, words
from daemon.post.status import NO_ROUTE, SEVERITIES, Severity, said_by, severity

Action = Literal["failed", "delayed", "delivered", "relayed", "expanded"]
Kind = Literal["failed", "delayed", "delivered", "relayed", "expanded", "complained", "replied", "automatic", "nothing"]

ACTIONS: tuple[Action, ...] = ("delivered", "failed", "delayed", "relayed", "expanded")
"""RFC 3464 section 2.3.3. Where a list of recipients stands behind the one address, the first of these counts."""
STATUS_PARTS = ("message/delivery-status", "message/global-delivery-status")
RETURNED = (
    "message/rfc822",
    "message/global",
    "text/rfc822-headers",
    "message/global-headers",
    "message/rfc822-headers",
)
COMPLAINTS = frozenset({"abuse", "fraud", "virus", "other", "opt-out", "opt-out-list", "miscategorized"})
"""RFC 5965 section 7.3 and its registry; `not-spam` and `auth-failure` are none."""
TO = ("delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-delivered-to", "to", "cc")
PATH = re.compile(r"[^\s<>,;:\"()\[\]\\@]{1,128}@[^\s<>,;:\"()\[\]\\@]{1,255}")
ID = re.compile(r"<([^<>\s]{1,400})>")
WAY = re.compile(r"/u/([A-Za-z0-9_-]{40})(?![A-Za-z0-9_-])")
NOBODY = "MAILER-DAEMON"
"""What Postfix' pipe(8) writes down for the null return path (null_sender): no address, for it has no host."""
MOST = 30
SAID = 300
EXPLAINED = 8_000
"""Letters of a report without a status part in which its reason is looked for."""
RETURNS_BELOW = re.compile(
    r"^--.{0,200}?(original message|copy of the message|message follows|returned message)", re.IGNORECASE | re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Finding:
    """`return_path`: empty for the null one of reports (RFC 5321 section 4.5.5), None where the mail does not say."""

    kind: Kind
    return_path: str | None
    recipients: tuple[str, ...] = ()
    """Addresses that it came to: of the envelope where it is known."""
    senders: tuple[str, ...] = ()
    """Envelope senders of the mail that it speaks of."""
    ids: tuple[str, ...] = ()
    """Message and envelope ids that it speaks of, the nearest first."""
    ways: tuple[str, ...] = ()
    """Tokens in the List-Unsubscribe of the mail that it speaks of: some providers send with a Message-ID and an
    envelope sender of their own, and some take them out of complaints."""
    status: str = ""
    """RFC 3463, such as 5.1.1; empty where none was said."""
    severity: Severity | Literal[""] = ""
    """Of what failed."""
    said: str = ""
    """The other server's words, without addresses."""


def read(raw: bytes) -> Finding:
    """Never raises, and looks at no more than `mime.READ` octets. One that was emptied (its person was erased) says
    nothing."""
    if not raw:
        return Finding("nothing", None)
    mail = mime.read(raw)
    path, to = return_path(mail), recipients(mail)
    if groups := status_groups(mail):
        return _report(mail, groups, path, to)
    if feedback := next((part for part in mail.walk() if part.kind == "message/feedback-report"), None):
        return _feedback(mail, feedback, path, to)
    if path == "" and speaks_of_failure(mail):
        return _report_in_words(mail, path, to)
    kind: Kind = "automatic" if by_machine(mail, path) else "replied"
    return Finding(kind, path, to, ids=answered(mail))


def return_path(mail: Part) -> str | None:
    """Only the topmost one was written by whoever delivered the mail."""
    if not mail.has("return-path"):
        return None
    value = mail.first("return-path").strip().removeprefix("<").removesuffix(">").strip()
    return "" if value.upper() == NOBODY else value[:320]


def recipients(mail: Part) -> tuple[str, ...]:
    found = [address for name in TO for value in mail.every(name) for address in PATH.findall(value[:4000])]
    return tuple(dict.fromkeys(found))[:MOST]


def answered(mail: Part) -> tuple[str, ...]:
    """What a reply answers, the nearest first (RFC 5322 section 3.6.4)."""
    near = ID.findall(mail.first("in-reply-to"))
    return tuple(dict.fromkeys([*near, *reversed(ID.findall(mail.first("references")))]))[:MOST]


def status_groups(mail: Part) -> list[Mapping[str, str]]:
    """The groups of fields of a delivery status (RFC 3464 section 2.1): of the message, then one a recipient."""
    part = next((part for part in mail.walk() if part.kind in STATUS_PARTS), None)
    if part is None:
        return []
    blocks = re.split(rb"\n[ \t]*\n", part.lines().strip(b"\n")[:65536])[: MOST + 1]
    groups = [dict(reversed(fields_of(block))) for block in blocks]
    return [group for group in groups if group]


def _report(mail: Part, groups: Sequence[Mapping[str, str]], path: str | None, to: tuple[str, ...]) -> Finding:
    told = [(group["action"].strip().lower(), group) for group in groups if group.get("action")]
    action = next((word for word in ACTIONS if any(word == one for one, _ in told)), None)
    senders, ids, ways = returned(mail)
    envelope = next((group["original-envelope-id"] for group in groups if group.get("original-envelope-id")), "")
    ids = tuple(dict.fromkeys([*([plain(envelope)] if envelope else []), *ids]))
    if action is None:
        return Finding("nothing", path, to, senders, ids, ways)
    codes = [_code(group) for word, group in told if word == action]
    if action != "failed":
        return Finding(action, path, to, senders, ids, ways, codes[0][0], said=without_addresses(codes[0][1]))
    weights = [_weight(group) for word, group in told if word == action]
    mildest = min(range(len(weights)), key=lambda at: SEVERITIES.index(weights[at]))
    status, diagnostic = codes[mildest]
    weight = weights[mildest]
    if weight == "hard" and len(codes) < len(told):
        weight = "soft"  # somebody else behind the address is still being tried
    return Finding(action, path, to, senders, ids, ways, status, weight, without_addresses(diagnostic))


def _code(group: Mapping[str, str]) -> tuple[str, str]:
    """(status, the other server's words) of one recipient."""
    whole = group.get("diagnostic-code", "")
    diagnostic = whole.partition(";")[2].strip() or whole
    return said_by(group.get("status", ""), diagnostic), diagnostic


def _weight(group: Mapping[str, str]) -> Severity:
    status, diagnostic = _code(group)
    domain = group.get("final-recipient", "").rpartition("@")[2].strip().rstrip(">").lower()
    if status == NO_ROUTE and domain and f"name={domain} " in f"{diagnostic.lower()} ":
        return "hard"  # its own host is not there; the same code for a mail server behind it may be a slip in the DNS
    return severity(status, diagnostic)


def _feedback(mail: Part, feedback: Part, path: str | None, to: tuple[str, ...]) -> Finding:
    """RFC 5965: the person called the mail spam."""
    told = dict(reversed(fields_of(feedback.lines()[:65536].strip(b"\n"))))
    senders, ids, ways = returned(mail)
    senders = (*PATH.findall(told.get("original-mail-from", "")), *senders)
    ids = (*([plain(told["original-envelope-id"])] if "original-envelope-id" in told else []), *ids)
    kind: Kind = "complained" if told.get("feedback-type", "").strip().lower() in COMPLAINTS else "nothing"
    return Finding(kind, path, to, senders, ids, ways, said=without_addresses(told.get("user-agent", "")))


def _report_in_words(mail: Part, path: str | None, to: tuple[str, ...]) -> Finding:
    """A report of a server that knows no RFC 3464: the first code in what it explains, above what it returns."""
    part = next((part for part in mail.walk() if part.kind.startswith("text/")), mail)
    text = part.text(EXPLAINED)
    below = RETURNS_BELOW.search(text)
    text = text[: below.start()] if below else text
    status = said_by("", text)
    line = next((line for line in text.splitlines() if status and status in line), text[:SAID])
    senders, ids, ways = returned(mail)
    said = without_addresses(line)
    if not status.startswith("5") and "delay" in words(mail.first("subject")).lower():
        return Finding("delayed", path, to, senders, ids, ways, status, said=said)
    return Finding("failed", path, to, senders, ids, ways, status, severity(status, text), said)


def returned(mail: Part) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """(envelope senders, message ids, ways out) of the mail that came back, from as much of it as was returned."""
    part = next((part for part in mail.walk() if part.kind in RETURNED), None)
    if part is None:
        return (), (), ()
    inside = Part(fields_of(part.lines().lstrip(b"\n").partition(b"\n\n")[0]), b"")
    return (
        tuple(PATH.findall(inside.first("return-path")))[:1],
        tuple(ID.findall(inside.first("message-id")))[:1],
        tuple(WAY.findall(inside.first("list-unsubscribe")))[:1],
    )


def plain(envelope_id: str) -> str:
    """An envelope id as we gave it: some servers give it back as it travelled (xtext, RFC 3461 section 4)."""
    text = envelope_id.strip().removeprefix("<").removesuffix(">")[:400]
    return re.sub(r"\+([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), text)


def without_addresses(text: str) -> str:
    """Fit to be kept and shown: no address, one line."""
    line = " ".join(re.sub(r"\S*@\S*", "…", text[:2000]).split())[:SAID]
    return "".join(sign for sign in line if sign.isprintable())
