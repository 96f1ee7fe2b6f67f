"""What the handlers of one web process share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

from daemon import metrics, tokens
from daemon.clock import monotonic
from daemon.context import Context
from daemon.flow.desk import Desk
from daemon.flow.track import Visitor
from daemon.hits import Kind
from daemon.tokens import Purpose, Token
from daemon.web.edge import Failures, client_address, kept_network, user_agent
from daemon.web.quota import Quota

HITS = 60
"""Hits a minute of one kind on one message that are kept. Whoever has one good link could fill the disk with more."""
CHANGES = 10
"""Changes of mind an hour by the link of one message; leaving is none."""


@dataclass(slots=True)
class State:
    context: Context
    desk: Desk
    failures: Failures = field(default_factory=Failures)
    hits: Quota = field(default_factory=lambda: Quota(HITS))
    minds: Quota = field(default_factory=lambda: Quota(CHANGES, 3600.0))

    def token(self, request: web.Request, purpose: Purpose) -> Token | None:
        """What was signed for this purpose; None for everything else."""
        token = tokens.read(self.context.secrets, request.match_info["token"])
        return token if token is not None and token.purpose == purpose else None

    def visitor(self, request: web.Request) -> Visitor:
        """Who asks, as far as it is kept."""
        return Visitor(request.method, user_agent(request), kept_network(self._address(request)))

    def enough(self, token: Token, kind: Kind) -> bool:
        """Count one more hit of this kind on this message; True when so many were kept that this one is not."""
        if not self.hits.spent((token.shop_id, token.message_id, kind), monotonic()):
            return False
        metrics.hits_spared.inc()
        return True

    def wavers(self, token: Token, what: Literal["undo", "choose"]) -> bool:
        """Count one more change of mind by this link; True when it has been so many that this one has to wait."""
        return self.minds.spent((token.shop_id, token.message_id, what), monotonic())

    def too_many(self, request: web.Request) -> bool:
        """Note an unknown token; True when its network has sent too many."""
        metrics.unknown_tokens.inc()
        return self.failures.too_many(self._address(request), monotonic())

    def spent(self, request: web.Request) -> bool:
        """Whether its network has sent so many unknown tokens that the database is asked of no more. Only for tokens
        without a signature: of all others we know by ourselves which are unknown."""
        return self.failures.spent(self._address(request), monotonic())

    def _address(self, request: web.Request) -> str:
        return client_address(request, self.context.settings.trusted_proxies)


STATE = web.AppKey("state", State)
