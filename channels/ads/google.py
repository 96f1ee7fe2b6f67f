"""Customer Match of Google: `audienceMembers` of the Data Manager API."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

import jwt

from channels.ads.base import Fate, Keys, Part, Platform, Reach, Taken, sha256
from channels.ads.wire import Answer, Wire
from channels.base import Misconfigured, Retry, Unclear

API = "https://datamanager.googleapis.com"
TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105  an address
SCOPE = "https://www.googleapis.com/auth/datamanager"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFE = timedelta(hours=1)
SPARE = timedelta(minutes=5)
"""A token that ends sooner is not used any more."""
GMAIL = frozenset({"gmail.com", "googlemail.com"})
PRODUCT = "GOOGLE_ADS"


@dataclass(frozen=True, slots=True)
class Config:
    account: str
    """Number of the ads account, without hyphens."""
    id: str
    """Of the audience (user list)."""
    key: str = field(repr=False)
    """The key of a service account: the JSON file that Google gives out."""
    login_account: str = ""
    """The manager account by which `account` is reached."""
    api: str = API
    token_uri: str = ""
    """Where tokens are had; the key's own by default."""


class Google(Platform):
    """Asynchronous: an answer says that a part will be worked off, and its request number tells later what became of
    it. A membership ends by itself after at most 540 days."""

    name: ClassVar[str] = "google"

    def __init__(self, config: Config, now: Callable[[], datetime], wire: Wire | None = None) -> None:
        """`now`: machine time, for the claims of a token."""
        self.config = config
        self.now = now
        self.wire = wire or Wire("Google")
        self.token = ""
        self.token_ends: datetime | None = None

    def normalise(self, reach: Reach) -> Keys:
        found = {"emailAddress": email(reach.email), "phoneNumber": phone(reach.phone)}
        return {word: sha256(text) for word, text in found.items() if text}

    async def add(self, people: Sequence[Keys], part: Part) -> Taken:
        granted = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
        terms = {"customerMatchTermsOfServiceStatus": "ACCEPTED"}
        return await self._say("ingest", {**self._about(people), "consent": granted, "termsOfService": terms})

    async def remove(self, people: Sequence[Keys], part: Part) -> Taken:
        return await self._say("remove", self._about(people))

    async def look_up(self, request: str) -> tuple[Fate, str]:
        answer = await self._call("GET", "requestStatus:retrieve", query={"requestId": request})
        statuses = answer.body.get("requestStatusPerDestination")
        found = statuses[0] if isinstance(statuses, list) and statuses and isinstance(statuses[0], dict) else {}
        match found.get("requestStatus"):
            case "SUCCESS":
                return "done", ""
            case "FAILED" | "PARTIAL_SUCCESS" as word:
                return "failed", f"Google: {word.replace('_', ' ').lower()}{_reasons(found)}"
        return "under_way", ""

    async def close(self) -> None:
        await self.wire.close()

    def _about(self, people: Sequence[Keys]) -> dict[str, Any]:
        destination: dict[str, Any] = {
            "operatingAccount": {"accountType": PRODUCT, "accountId": self.config.account},
            "productDestinationId": self.config.id,
        }
        if self.config.login_account:
            destination["loginAccount"] = {"accountType": PRODUCT, "accountId": self.config.login_account}
        return {
            "destinations": [destination],
            "audienceMembers": [
                {"userData": {"userIdentifiers": [{word: value} for word, value in keys.items()]}} for keys in people
            ],
            "encoding": "HEX",
        }

    async def _say(self, verb: str, value: Mapping[str, Any]) -> Taken:
        answer = await self._call("POST", f"audienceMembers:{verb}", value=value)
        request = answer.body.get("requestId")
        if not isinstance(request, str) or not request:
            raise Unclear("Google: an answer without a request number", code="unreadable")
        return Taken(request[:200])

    async def _call(
        self,
        method: str,
        path: str,
        *,
        value: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        url = f"{self.config.api.rstrip('/')}/v1/{path}"
        for again in (True, False):
            answer = await self.wire.call(method, url, token=await self._entitled(), value=value, query=query)
            if answer.status != 401 or not again:
                break
            self.token_ends = None  # taken back before its time: a new one is had, once
        if answer.status >= 300:
            raise refusal(answer)
        return answer

    async def _entitled(self) -> str:
        """An access token by the service account's signature (RFC 7523), kept for most of its hour."""
        now = self.now()
        if self.token_ends is None or now > self.token_ends - SPARE:
            uri, signed = assertion(self.config, now)
            answer = await self.wire.call("POST", uri, form={"grant_type": GRANT, "assertion": signed})
            token = answer.body.get("access_token")
            if answer.status == 429:
                raise Retry("Google: too many calls for a token", code="429", after=answer.after)
            if answer.status >= 300 or not isinstance(token, str) or not token:
                raise Misconfigured("Google: gives no token for the service account's key", code=str(answer.status))
            self.token, self.token_ends = token, now + LIFE
        return self.token


def assertion(config: Config, now: datetime) -> tuple[str, str]:
    """(where tokens are had, the signed request for one). Raises Misconfigured for a key that is none."""
    try:
        key = json.loads(config.key)
        uri = config.token_uri or str(key.get("token_uri") or TOKEN_URI)
        claims = {
            "iss": key["client_email"],
            "scope": SCOPE,
            "aud": uri,
            "iat": int(now.timestamp()),
            "exp": int((now + LIFE).timestamp()),
        }
        headers = {"kid": key["private_key_id"]} if key.get("private_key_id") else None
        return uri, jwt.encode(claims, key["private_key"], algorithm="RS256", headers=headers)
    except (ValueError, TypeError, KeyError, AttributeError, jwt.PyJWTError):
        raise Misconfigured("Google: the key is not the JSON key of a service account", code="key") from None


def email(text: str) -> str:
    """As Google compares addresses; empty for what is none. Dots before gmail.com mean nothing, `+tags` do."""
    low = text.strip().lower()
    local, at, domain = low.rpartition("@")
    if not at or not local or not domain or re.search(r"\s", low):
        return ""
    if domain in GMAIL:
        local = local.replace(".", "")
    return f"{local}@{domain}" if local else ""


def phone(text: str) -> str:
    """A plus and digits (E.164); empty for what is none."""
    digits = re.sub(r"[^0-9]", "", text)
    return f"+{digits}" if text.strip().startswith("+") and digits else ""


def refusal(answer: Answer) -> Exception:
    """Google's error as one of ours. Its own sentence is left out: it may repeat what it was sent."""
    error = answer.body.get("error")
    word = str(error.get("status", "")) if isinstance(error, dict) else ""
    word = word if re.fullmatch(r"[A-Z_]{1,40}", word) else ""
    code = word or str(answer.status)
    if answer.status == 429 or word == "RESOURCE_EXHAUSTED":
        return Retry(f"Google: too many calls ({code})", code=code, after=answer.after)
    if answer.status in (401, 403):
        return Misconfigured(f"Google: the service account may not change this audience ({code})", code=code)
    return Misconfigured(f"Google: refuses the request ({code})", code=code)


def _reasons(found: Mapping[str, Any]) -> str:
    """`: 3 of …, 2 of …`: the reasons that Google counts."""
    info = found.get("errorInfo")
    counts = info.get("errorCounts") if isinstance(info, dict) else None
    told = []
    for one in counts if isinstance(counts, list) else ():
        if isinstance(one, dict) and re.fullmatch(r"[A-Z_]{1,80}", str(one.get("reason", ""))):
            word = str(one["reason"]).removeprefix("PROCESSING_ERROR_REASON_").replace("_", " ").lower()
            told.append(f"{one.get('recordCount', '?')} for {word}")
    return f": {', '.join(told)}" if told else ""
