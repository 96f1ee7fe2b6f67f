"""A pretend Google: the Data Manager API and its tokens, working parts off later, with accidents on demand."""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

MOST = 10_000
MOST_KEYS = 10
HASH = re.compile(r"[0-9a-f]{64}")
GRANTED = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
ACCEPTED = {"customerMatchTermsOfServiceStatus": "ACCEPTED"}
FAULTS: dict[str, tuple[int, str]] = {
    "429": (429, "RESOURCE_EXHAUSTED"),
    "500": (500, "INTERNAL"),
    "403": (403, "PERMISSION_DENIED"),
    "401": (401, "UNAUTHENTICATED"),
}
"""What it answers instead, having done nothing. Others: `half` works every second one off and says so when asked,
`failed` none, `slow` is under way until asked twice, `lost` takes all and hangs up, `dropped` takes none and hangs up,
`hang` never answers, `bare` leaves the request's number out."""

Member = frozenset[tuple[str, str]]


@dataclass
class PretendGoogle:
    """State in the open, for tests and the demo to look at. `key` is a service account's, as Google gives it out."""

    account: str = "1234567890"
    audiences: dict[str, set[Member]] = field(default_factory=dict)
    faults: deque[str] = field(default_factory=deque)
    """One for each call that changes something."""
    calls: list[tuple[str, int]] = field(default_factory=list)
    """(ingest or remove, people in it)."""
    small_uploads: int = 0
    complaints: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    requests: dict[str, list[str]] = field(default_factory=dict)
    """What each question about a request is answered with; the last one stays."""

    owner: str = "tillbell@pretend.iam.example"

    @property
    def _private(self) -> rsa.RSAPrivateKey:
        return _key_of(self.owner)

    def key(self, base: str) -> str:
        form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return json.dumps(
            {
                "type": "service_account",
                "client_email": self.owner,
                "private_key_id": "1",
                "private_key": self._private.private_bytes(*form).decode(),
                "token_uri": f"{base}/token",
            }
        )

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/token", self.give_token),
            web.post("/v1/audienceMembers:{verb}", self.change),
            web.get("/v1/requestStatus:retrieve", self.tell),
        ]

    async def give_token(self, request: web.Request) -> web.Response:
        form = await request.post()
        where = str(request.url)
        try:
            claims = jwt.decode(
                str(form.get("assertion", "")),
                self._private.public_key(),
                algorithms=["RS256"],
                audience=where,
                options={"verify_exp": False, "verify_iat": False},
            )
        except jwt.PyJWTError as error:
            return self._refuse(400, "INVALID_ARGUMENT", type(error).__name__)
        if claims["scope"] != "https://www.googleapis.com/auth/datamanager" or claims["exp"] - claims["iat"] > 3600:
            return self._refuse(400, "INVALID_ARGUMENT", "claims")
        token = f"pretend-{len(self.tokens) + 1}"
        self.tokens.add(token)
        return web.json_response({"access_token": token, "token_type": "Bearer", "expires_in": 3600})

    async def change(self, request: web.Request) -> web.StreamResponse:
        if not self._is_let_in(request):
            return self._refuse(401, "UNAUTHENTICATED", "token")
        verb = request.match_info["verb"]
        try:
            audience, people = self._read(verb, await request.json())
        except (ValueError, KeyError, TypeError) as error:
            return self._refuse(400, "INVALID_ARGUMENT", str(error))
        self.calls.append((verb, len(people)))
        fault = self.faults.popleft() if self.faults else ""
        if fault in FAULTS:
            if fault == "401":
                self.tokens.clear()
            status, word = FAULTS[fault]
            return web.json_response({"error": {"code": status, "status": word}}, status=status)
        if fault == "hang":
            await asyncio.sleep(3600)
        if fault == "half":
            people = people[::2]
        elif fault in ("failed", "dropped"):
            people = []
        self._keep(verb, audience, people)
        if fault in ("lost", "dropped"):
            assert request.transport is not None
            request.transport.abort()
        number = f"request-{len(self.requests) + 1}"
        fates = {"half": ["PARTIAL_SUCCESS"], "failed": ["FAILED"], "slow": ["PROCESSING", "PROCESSING", "SUCCESS"]}
        self.requests[number] = fates.get(fault, ["SUCCESS"])
        return web.json_response({} if fault == "bare" else {"requestId": number})

    async def tell(self, request: web.Request) -> web.Response:
        fates = self.requests.get(request.query.get("requestId", ""))
        if not self._is_let_in(request) or fates is None:
            return self._refuse(404, "NOT_FOUND", "request")
        word = fates.pop(0) if len(fates) > 1 else fates[0]
        status: dict[str, Any] = {"requestStatus": word}
        if word in ("FAILED", "PARTIAL_SUCCESS"):
            reason = "PROCESSING_ERROR_REASON_INTERNAL_ERROR"
            status["errorInfo"] = {"errorCounts": [{"recordCount": "1", "reason": reason}]}
        return web.json_response({"requestStatusPerDestination": [status]})

    def _is_let_in(self, request: web.Request) -> bool:
        return request.headers.get("Authorization", "").removeprefix("Bearer ") in self.tokens

    def _read(self, verb: str, told: dict[str, Any]) -> tuple[str, list[Member]]:
        """Raises ValueError, KeyError or TypeError for what Google would refuse."""
        [destination] = told["destinations"]
        if destination["operatingAccount"] != {"accountType": "GOOGLE_ADS", "accountId": self.account}:
            raise ValueError("another account")
        if verb == "ingest" and (told["consent"] != GRANTED or told["termsOfService"] != ACCEPTED):
            raise ValueError("without consent or terms")
        if verb == "remove" and {"consent", "termsOfService"} & set(told):
            raise ValueError("unknown field")
        people = [one["userData"]["userIdentifiers"] for one in told["audienceMembers"]]
        if told["encoding"] != "HEX" or not 0 < len(people) <= MOST:
            raise ValueError(f"{len(people)} people in one call")
        if not all(0 < len(one) <= MOST_KEYS and all(_is_key(key) for key in one) for one in people):
            raise ValueError("not a SHA-256 in hexadecimal")
        members = [frozenset((word, value) for key in one for word, value in key.items()) for one in people]
        return str(destination["productDestinationId"]), members

    def _keep(self, verb: str, audience: str, people: list[Member]) -> None:
        members = self.audiences.setdefault(audience, set())
        if verb == "remove":
            members.difference_update(people)
            return
        members.update(people)
        self.small_uploads += bool(people) and len(members) < 100

    def _refuse(self, status: int, word: str, because: str) -> web.Response:
        self.complaints.append(because)
        return web.json_response({"error": {"code": status, "status": word}}, status=status)


@cache
def _key_of(owner: str) -> rsa.RSAPrivateKey:  # noqa: ARG001  one for each
    """Slow to make, so once for each service account of this process."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _is_key(key: dict[str, str]) -> bool:
    [(word, value)] = key.items()
    return word in ("emailAddress", "phoneNumber") and HASH.fullmatch(value) is not None
