"""What the handlers of one web process share."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiohttp import web

from daemon import metrics, tokens
from daemon.clock import monotonic
from daemon.context import Context
from daemon.flow.desk import Desk
from daemon.flow.track import Visitor
from daemon.tokens import Purpose, Token
from daemon.web.edge import Failures, client_address, kept_network, user_agent


@dataclass(slots=True)
class State:
    context: Context
    desk: Desk
    failures: Failures = field(default_factory=Failures)

    def token(self, request: web.Request, purpose: Purpose) -> Token | None:
        """What was signed for this purpose; None for everything else."""
        token = tokens.read(self.context.secrets, request.match_info["token"])
        return token if token is not None and token.purpose == purpose else None

    def visitor(self, request: web.Request) -> Visitor:
        """Who asks, as far as it is kept."""
        return Visitor(request.method, user_agent(request), kept_network(self._address(request)))

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
