"""What Twilio tells us by itself: news of a text, and what somebody wrote back. Believed only if it is signed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from channels.base import Callback, Event, Forged, Junk, Told
from channels.stop_words import wish
from channels.twilio_api import is_signed

WHATSAPP = "whatsapp:"
SID = re.compile(r"(SM|MM)[0-9a-f]{32}")
NEWS: Mapping[str, Told] = {
    "accepted": "accepted", "scheduled": "accepted", "queued": "accepted", "sending": "accepted", "sent": "accepted",
    "delivered": "delivered", "read": "delivered", "partially_delivered": "delivered",
    "undelivered": "undelivered", "failed": "undelivered", "canceled": "undelivered",
}  # fmt: skip
DEAD = frozenset({30005, 30006, 21211, 21614, 21635, 21610, 63024})
"""Unknown or no longer in use, a landline, not on WhatsApp: as told afterwards."""
FILTERED = frozenset({30002, 30007, 30032, 30033, 30034, 63016})
"""Filtered by a carrier, not registered or suspended, no approved template: the sender's matter. 30004 is not among
them: there the person's own phone or contract takes no such texts."""
MOST_FIELDS = 200


def told(callback: Callback, account: str, token: str) -> Sequence[Event]:
    """Raises `Forged` unless whoever knows the token of this account sent exactly this, and `Junk`."""
    headers, params = callback.headers, _params(callback)
    signature = headers.get("x-twilio-signature", "")
    settings = headers.get("x-twilio-webhooks-signature-settings", "")
    if not is_signed(token, callback.url, params, signature, settings):
        raise Forged("the signature does not fit")
    if isinstance(params, str):
        raise Junk("it is no form")
    said = {name: values[0] for name, values in params.items()}
    if said.get("AccountSid", account) != account:
        raise Forged("it is about another account")
    sid = said.get("MessageSid") or said.get("SmsSid", "")
    if not SID.fullmatch(sid):
        raise Junk("it names no message")
    status = said.get("MessageStatus") or said.get("SmsStatus", "")
    if "Body" in said and status in ("", "received", "receiving"):
        return [_inbound(said, sid)]
    return [_news(callback.url, said, sid, status)]


def _params(callback: Callback) -> Mapping[str, list[str]] | str:
    """All parameters, each with all its values; the raw body where it is no form."""
    kind = callback.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        text = callback.body.decode()
        if kind == "application/json":
            return text
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=MOST_FIELDS)
    except (UnicodeError, ValueError):
        raise Junk("its body cannot be read") from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _inbound(said: Mapping[str, str], sid: str) -> Event:
    kinds: Mapping[Any, Told] = {"stop": "stopped", "start": "started", "help": "asked_for_help"}
    meant = said.get("OptOutType", "").lower() or wish(said["Body"])
    return Event(
        kind=kinds.get(meant, "replied"),
        key=f"{sid} received",
        provider_id=sid,
        address=said.get("From", "").removeprefix(WHATSAPP),
        recipient=said.get("To", "").removeprefix(WHATSAPP),
        service=said.get("MessagingServiceSid", ""),
        text=said["Body"],
    )


def _news(url: str, said: Mapping[str, str], sid: str, status: str) -> Event:
    if status not in NEWS:
        raise Junk("it tells no status that is known")
    code = said.get("ErrorCode", "")
    number = int(code) if code.isdigit() and len(code) < 9 else 0
    return Event(
        kind=NEWS[status],
        key=f"{sid} {status}",
        message=parse_qs(urlsplit(url).query).get("m", [""])[0],
        provider_id=sid,
        code=f"{status} {code}".strip(),
        dead=number in DEAD,
        ours=number in FILTERED,
    )
