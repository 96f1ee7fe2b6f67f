"""Custom audiences of Meta (Facebook, Instagram): `/{audience}/users` of the Marketing API."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from channels.ads.base import Keys, Part, Platform, Reach, Taken, sha256
from channels.ads.wire import Answer, Wire, number
from channels.base import Misconfigured, Retry, Unclear

API = "https://graph.facebook.com/v25.0"
SCHEMA = ("EMAIL", "PHONE")
AROUND = " \t\r\n\x0b\x0c\0."
"""What Meta's own libraries cut off at both ends of an address."""

BUSY = frozenset({4, 17, 32, 341, 613, *range(80000, 80015)})
"""Limits of calls: of the app, the user, the account, and of each kind of business use."""
PASSING = frozenset({1, 2})
"""Unknown, and service out of order: all, some or nothing may have been taken."""
BLOCKED = 1713230
"""Subcode: the audience has operation_status 471."""
NO_TERMS = 1870090


@dataclass(frozen=True, slots=True)
class Config:
    id: str
    """Of the audience."""
    token: str = field(repr=False)
    """Of a system user with access to its ad account."""
    api: str = API
    limited_data_use: bool = False


class Meta(Platform):
    """Changes take up to a day at Meta. A session that breaks is not gone on with: the next run opens its own."""

    name: ClassVar[str] = "meta"

    def __init__(self, config: Config, wire: Wire | None = None) -> None:
        self.config = config
        self.wire = wire or Wire("Meta")

    def normalise(self, reach: Reach) -> Keys:
        found = {"EMAIL": email(reach.email), "PHONE": phone(reach.phone)}
        return {word: sha256(text) for word, text in found.items() if text}

    async def add(self, people: Sequence[Keys], part: Part) -> Taken:
        return await self._say("POST", people, part)

    async def remove(self, people: Sequence[Keys], part: Part) -> Taken:
        return await self._say("DELETE", people, part)

    async def _say(self, method: str, people: Sequence[Keys], part: Part) -> Taken:
        url = f"{self.config.api.rstrip('/')}/{self.config.id}/users"
        flagged = self.config.limited_data_use and method == "POST"
        form = {"payload": payload(people, limited=flagged), "session": session(part)}
        answer = await self.wire.call(method, url, token=self.config.token, form=form)
        if answer.status >= 300 or "error" in answer.body:
            raise refusal(answer)
        received = number(answer.body.get("num_received"), -1)
        if received < part.before + len(people):
            had = max(received - part.before, 0) if received >= 0 else 0
            raise Unclear(f"Meta: took {had} of {len(people)} people", code="half")
        invalid = number(answer.body.get("num_invalid_entries"), 0)
        return Taken(note=f"Meta could make nothing of about {invalid} people" if invalid else "")

    async def close(self) -> None:
        await self.wire.close()


def email(text: str) -> str:
    """As Meta compares addresses; empty for what is none."""
    cut = text.strip(AROUND).lower()
    return cut if re.fullmatch(r"[^@]+@[^@]+", cut) else ""


def phone(text: str) -> str:
    """Digits with the country code, no plus, no zero in front."""
    return re.sub(r"[^0-9]", "", text).lstrip("0")


def payload(people: Sequence[Keys], *, limited: bool = False) -> str:
    """Several keys a person, an empty one where it is not known."""
    if not limited:
        rows: list[list[Any]] = [[keys.get(word, "") for word in SCHEMA] for keys in people]
        return _compact({"schema": SCHEMA, "data": rows})
    rows = [[*(keys.get(word, "") for word in SCHEMA), ["LDU"]] for keys in people]
    return _compact({"schema": (*SCHEMA, "DATA_PROCESSING_OPTIONS"), "data": rows})


def session(part: Part) -> str:
    return _compact(
        {
            "session_id": part.session,
            "batch_seq": part.no,
            "last_batch_flag": part.last,
            "estimated_num_total": part.total,
        }
    )


def _compact(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))


def refusal(answer: Answer) -> Exception:
    """Meta's error as one of ours. Its own sentence is left out: it may repeat what it was sent."""
    error = answer.body.get("error")
    told: Mapping[str, Any] = error if isinstance(error, dict) else {}
    code, sub = number(told.get("code"), 0), number(told.get("error_subcode"), 0)
    name = f"{code}/{sub}" if sub else str(code or answer.status)
    if answer.status == 429 or code in BUSY:
        return Retry(f"Meta: too many calls ({name})", code=name, after=answer.after)
    if sub == BLOCKED:
        said = "Meta has blocked the audience (operation_status 471); appeal or replace it in its Audience Manager"
        return Misconfigured(said, code=name)
    if code in PASSING or told.get("is_transient") is True:
        return Unclear(f"Meta: out of order ({name})", code=name)
    if sub == NO_TERMS:
        return Misconfigured(f"Meta: its terms for custom audiences are not accepted ({name})", code=name)
    if code == 190 or answer.status == 401:
        return Misconfigured(f"Meta: the token is not valid ({name})", code=name)
    if code == 10 or 200 <= code <= 299 or (code, sub) == (100, 33) or answer.status == 403:
        return Misconfigured(f"Meta: the token may not change this audience, or there is none ({name})", code=name)
    return Misconfigured(f"Meta: refuses the request ({name})", code=name)
