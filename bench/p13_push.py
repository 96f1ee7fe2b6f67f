"""P13: a web push is made ready for its POST by us and by `pywebpush.webpush()`; and how often we sign.

CPU time of this process, the best of several rounds in turn, up to the network: both hand over the same request.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import process_time
from types import SimpleNamespace

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid
from pywebpush import webpush

from bench.measured import Measured, Row
from bench.place import Place
from channels.base import Message, Push
from channels.webpush import Config, WebPush
from channels.webpush_bytes import CURVE, bytes64, made, text64, written

AT = datetime(2026, 3, 3, 11, 0, tzinfo=UTC)
PAYLOAD = b'{"title":"' + b"x" * 193 + b'"}'
MANY = 200
ORIGINS = ("https://fcm.googleapis.com", "https://updates.push.services.mozilla.com", "https://web.push.apple.com")


async def measure(place: Place, rounds: int = 5) -> Measured:  # noqa: ARG001 - needs no servers
    private, secret, key = ec.generate_private_key(CURVE), bytes(range(16)), made()
    p256dh, auth = text64(written(private.public_key())), text64(secret)
    at = [AT]
    channel = WebPush(Config(private_key=key, contact="mailto:push@shop.example"), now=lambda: at[0])

    def message(origin: str = ORIGINS[0]) -> Message:
        return Message(1, 1, 1, f"{origin}/x", Push(PAYLOAD, p256dh, auth, timedelta(hours=1), "t1"))

    for sealed in (channel.request(message()).body for _ in range(20)):
        plain = http_ece.decrypt(sealed, private_key=private, auth_secret=bytes64(auth), version="aes128gcm")
        if plain != PAYLOAD:
            raise SystemExit("what we sealed cannot be read by http_ece")
    line = SimpleNamespace(post=lambda *_, **__: SimpleNamespace(status_code=201, headers={}, text=""))
    info = {"endpoint": f"{ORIGINS[0]}/x", "keys": {"p256dh": p256dh, "auth": auth}}

    def theirs(signing: object) -> Callable[[], object]:
        return lambda: webpush(
            dict(info), PAYLOAD, signing, {"sub": "mailto:push@shop.example"}, ttl=3600, requests_session=line
        )

    one = message()
    ready = Vapid.from_string(key)
    spent = micros({"ours": lambda: channel.request(one), "text": theirs(key), "ready": theirs(ready)}, rounds)
    before, hours = channel.identity.signatures, 6
    for minute in range(0, 60 * hours, 5):
        at[0] = AT + timedelta(days=1, minutes=minute)
        for origin in ORIGINS:
            for _ in range(3):
                channel.request(message(origin))
    signed = (channel.identity.signatures - before) / (len(ORIGINS) * hours)
    rows = [
        Row("P13", "pywebpush.webpush(), 205 bytes, up to its POST", us(spent["text"])),
        Row("P13", "ours, to that", us(spent["ours"]), spent["text"] / spent["ours"], 2.5),
        Row("P13", "ours, to webpush() with its key read once", us(spent["ours"]), spent["ready"] / spent["ours"]),
        Row("P13", "signatures for an origin in an hour", f"{signed:g}", signed, 1, at_most=True),
    ]
    await channel.close()
    return Measured(rows, {f"{name}_us": value for name, value in spent.items()})


def micros(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            began = process_time()
            for _ in range(MANY):
                way()
            best[name] = min(best[name], (process_time() - began) / MANY * 1e6)
    return best


def us(value: float) -> str:
    return f"{value:.0f} µs CPU"
