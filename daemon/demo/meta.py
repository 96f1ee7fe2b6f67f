"""A pretend Meta: custom audiences that remember who is in, refuse what Meta refuses, and have accidents on demand."""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

MOST = 10_000
HASH = re.compile(r"[0-9a-f]{64}|")
FAULTS: dict[str, tuple[int, dict[str, Any]]] = {
    "429": (429, {"error": {"code": 4, "message": "Application request limit reached"}}),
    "limit": (400, {"error": {"code": 80003, "message": "There have been too many calls to this ad-account"}}),
    "500": (500, {"error": {"code": 2, "is_transient": True, "message": "Service temporarily unavailable"}}),
    "471": (400, {"error": {"code": 100, "error_subcode": 1713230, "message": "Invalid parameter"}}),
    "token": (401, {"error": {"code": 190, "type": "OAuthException", "message": "Invalid OAuth 2.0 Access Token"}}),
    "session": (400, {"error": {"code": 100, "message": "session is not valid"}}),
}
"""What it answers instead, having done nothing. Others: `half` takes every second one, `lost` takes all and hangs up,
`dropped` takes none and hangs up, `hang` never answers, `huge` answers without an end."""


@dataclass
class PretendMeta:
    """State in the open, for tests and the demo to look at."""

    token: str = "meta-token"  # noqa: S105  a pretend one
    audiences: dict[str, set[tuple[str, ...]]] = field(default_factory=dict)
    faults: deque[str] = field(default_factory=deque)
    """One for each call to come; empty ones and none at all mean that all goes well."""
    calls: list[tuple[str, int]] = field(default_factory=list)
    """(POST or DELETE, people in it), as they came."""
    small_uploads: int = 0
    """Uploads after which an audience would hold fewer than a hundred."""
    complaints: list[str] = field(default_factory=list)
    """What was wrong with calls that it refused."""
    sessions: dict[int, tuple[int, int, bool]] = field(default_factory=dict)
    """(parts seen, people received, closed) by session."""

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/{version}/{audience}/users", self.change),
            web.delete("/{version}/{audience}/users", self.change),
        ]

    async def change(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        try:
            people = self._people(request, str(form.get("payload", "")))
            session = json.loads(str(form.get("session", "")))
        except ValueError as error:
            return self._refuse(str(error))
        self.calls.append((request.method, len(people)))
        fault = self.faults.popleft() if self.faults else ""
        if fault in FAULTS:
            status, body = FAULTS[fault]
            return web.json_response(body, status=status, headers={"Retry-After": "1"} if status == 429 else {})
        if fault == "huge":
            return await _endless(request)
        if fault == "hang":
            await asyncio.sleep(3600)
        taken = people[::2] if fault == "half" else [] if fault == "dropped" else people
        self._keep(request.method, request.match_info["audience"], taken)
        if fault in ("lost", "dropped"):
            assert request.transport is not None
            request.transport.abort()
        if problem := self._session(session, len(taken)):
            return self._refuse(problem)
        number = int(session["session_id"])
        return web.json_response(
            {
                "audience_id": request.match_info["audience"],
                "session_id": str(number),
                "num_received": self.sessions[number][1],
                "num_invalid_entries": 0,
                "invalid_entry_samples": {},
            }
        )

    def _people(self, request: web.Request, payload: str) -> list[tuple[str, ...]]:
        """Raises ValueError for what Meta would refuse."""
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise ValueError("token")
        told = json.loads(payload)
        schema, rows = told["schema"], [tuple(row) for row in told["data"]]
        if not 0 < len(rows) <= MOST:
            raise ValueError(f"{len(rows)} people in one call")
        words = [no for no, word in enumerate(schema) if word in ("EMAIL", "PHONE")]
        hashes = [tuple(row[no] for no in words) for row in rows]
        if not all(HASH.fullmatch(value) for row in hashes for value in row) or not all(any(row) for row in hashes):
            raise ValueError("not a SHA-256 in hexadecimal")
        return hashes

    def _keep(self, method: str, audience: str, people: list[tuple[str, ...]]) -> None:
        members = self.audiences.setdefault(audience, set())
        if method == "DELETE":
            members.difference_update(people)
            return
        members.update(people)
        self.small_uploads += bool(people) and len(members) < 100

    def _session(self, told: dict[str, Any], people: int) -> str:
        number, no = int(told["session_id"]), int(told["batch_seq"])
        seen, received, closed = self.sessions.get(number, (0, 0, False))
        if closed or number <= 0 or no != seen + 1:
            return f"part {no} after {seen} of a session that is {'closed' if closed else 'open'}"
        self.sessions[number] = no, received + people, bool(told["last_batch_flag"])
        return ""

    def _refuse(self, because: str) -> web.Response:
        self.complaints.append(because)
        status, body = FAULTS["token"] if because == "token" else FAULTS["session"]
        return web.json_response(body, status=status)


async def _endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    for _ in range(1000):
        await answer.write(b" " * 65536)
    return answer
