"""All that tillbell would speak to outside, on this machine: a Twilio, a push service, a Meta, a Google."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from aiohttp import web

from channels.webpush_bytes import made
from daemon.clock import machine_now
from daemon.demo.google import PretendGoogle
from daemon.demo.meta import PretendMeta
from daemon.demo.pockets import SENDER
from daemon.demo.push_service import PushService
from daemon.demo.twilio import Twilio


def _seconds(now: Callable[[], datetime]) -> Callable[[], float]:
    return lambda: now().timestamp()


@dataclass(slots=True)
class Receivers:
    """Each counts what it took. Signatures of web pushes hold by machine time, whatever the shop's clock says."""

    twilio: Twilio = field(default_factory=lambda: Twilio(tells=True))
    pushes: PushService = field(default_factory=lambda: PushService(_seconds(machine_now)))
    meta: PretendMeta = field(default_factory=PretendMeta)
    google: PretendGoogle = field(default_factory=PretendGoogle)
    ads_url: str = ""
    """Where both of these are."""
    push_key: str = field(default_factory=made, repr=False)
    site_key: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    """With which the shop's pages say who is looking at them."""
    _runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.twilio.start()
        await self.pushes.start()
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.add_routes([*self.meta.routes(), *self.google.routes()])
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.ads_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.twilio.stop()
        await self.pushes.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def settings(self) -> Mapping[str, str]:
        """What the daemon has to be told to find them."""
        return {
            "TILLBELL_TWILIO_ACCOUNT_SID": self.twilio.account,
            "TILLBELL_TWILIO_AUTH_TOKEN": self.twilio.token,
            "TILLBELL_TWILIO_BASE_URL": self.twilio.url,
            "TILLBELL_TWILIO_FROM": SENDER,
            "TILLBELL_PUSH_HOSTS": self.pushes.url,
            "TILLBELL_PUSH_PRIVATE_KEY": self.push_key,
            "TILLBELL_PUSH_CONTACT": "mailto:it@morgenrot.example",
            "TILLBELL_TRUSTED_PROXIES": "127.0.0.0/8",
            "DEMO_SITE_KEY": self.site_key,
            "DEMO_META_TOKEN": self.meta.token,
            "DEMO_GOOGLE_KEY": self.google.key(self.ads_url),
            "DEMO_ADS_URL": self.ads_url,
        }
