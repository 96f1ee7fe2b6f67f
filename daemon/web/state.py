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
        address = client_address(request, self.context.settings.trusted_proxies)
        return Visitor(request.method, user_agent(request), kept_network(address))

    def too_many(self, request: web.Request) -> bool:
        """Note an unknown token; True when its network has sent too many."""
        metrics.unknown_tokens.inc()
        address = client_address(request, self.context.settings.trusted_proxies)
        return self.failures.too_many(address, monotonic())


STATE = web.AppKey("state", State)
