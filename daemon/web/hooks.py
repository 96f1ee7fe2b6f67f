"""POST /hooks/shop/{shop}: signed events of a shop, kept raw before the answer (Standard Webhooks, version 1)."""

from __future__ import annotations

import asyncio
import binascii
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

import structlog
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from daemon.batcher import Batcher, Full
from daemon.clock import machine_now
from daemon.context import Context
from daemon.shops.push import Listens
from daemon.store import inbox
from daemon.store.database import is_transient
from daemon.web.bodies import Bodies, BodyTooLarge, BodyTooSlow, TooManyBodies

log = structlog.get_logger()

LARGEST = 256 * 1024
TOLERANCE = 300
"""Seconds between the sender's clock and ours."""
BODY_PATIENCE = 10.0
"""Seconds until a body must have arrived."""
WRITE_PATIENCE = 5.0
"""Seconds for a group, after which the next one is tried."""
KEEP_PATIENCE = 2.0
"""Seconds until the answer is 503: the sender comes again, with the same id."""
WORK = "inbox"
"""What is rung for once an event is kept."""
TOO_LARGE = ("the body is too large", f"at most {LARGEST} bytes; one event carries one cart")
AGAIN = "nothing is lost: send it again, with the same webhook-id"
DELIVERY_ID = re.compile(r"[\x21-\x2d\x2f-\x7e]{1,200}")
"""Printable and without a full stop, which parts the signed text."""
TIMESTAMP = re.compile(r"[0-9]{9,11}")


class Answer(Exception):
    """The request ends here, with this status and these sentences."""

    def __init__(self, status: int, error: str, hint: str = "") -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.hint = hint

    def response(self, request: web.Request) -> web.Response:
        """{error, hint}. The rest of a body is not waited for, and whose request is at fault has to knock again: how
        often that may be is counted at the door. Who is only told to come again stays."""
        headers = {"Retry-After": "2"} if self.status == 503 else {}
        answer = web.json_response({"error": self.error, "hint": self.hint}, status=self.status, headers=headers)
        if self.status < 500 or not request.content.at_eof():
            answer.force_close()
        return answer


def keeper(context: Context) -> Batcher[inbox.Delivery, None]:
    """Into the inbox, in groups: what arrived while the last group was being written is the next one."""

    async def write(rows: Sequence[inbox.Delivery]) -> Sequence[None]:
        async with asyncio.timeout(WRITE_PATIENCE):
            await inbox.keep(context.pool, rows)
        return [None] * len(rows)

    return Batcher("inbox", write, waiting=5_000, group=500)


def routes(context: Context, batcher: Batcher[inbox.Delivery, None]) -> list[web.RouteDef]:
    """For the public listener."""
    bodies = Bodies(LARGEST, BODY_PATIENCE)

    async def shop_event(request: web.Request) -> web.Response:
        try:
            shop_id, shop = _addressed(context, request)
            delivery_id = _checked_head(request)
            async with body_of(bodies, request) as raw:
                _check_signature(shop.webhooks, request, raw)
                kind = _checked_content(shop, raw)
                await kept(batcher, inbox.Delivery(shop_id, "push", delivery_id, raw))
        except Answer as answer:
            return answer.response(request)
        log.info("polled", shop=context.shop_called(shop_id), source="push", kind=kind)
        context.ring(WORK, shop_id)
        return web.json_response({"kept": True}, status=202)

    return [web.post("/hooks/shop/{shop}", shop_event)]


def _addressed(context: Context, request: web.Request) -> tuple[int, Listens]:
    name = request.match_info["shop"]
    shop, shop_id = context.shops.get(name), context.shop_ids.get(name)
    if shop_id is None or not getattr(shop, "webhooks", ()):  # isinstance of a protocol costs as much as all else here
        raise Answer(404, "no shop of this name takes events", "the name after /hooks/shop/ is the one in shops.yaml")
    return shop_id, cast("Listens", shop)


def _checked_head(request: web.Request) -> str:
    """The delivery's id. Raises Answer for a head that no body could make right."""
    headers = request.headers
    missing = [n for n in ("webhook-id", "webhook-timestamp", "webhook-signature") if not headers.get(n)]
    if missing:
        raise Answer(400, f"missing header {missing[0]}", "see https://www.standardwebhooks.com")
    if not DELIVERY_ID.fullmatch(headers["webhook-id"]):
        raise Answer(400, "webhook-id is not usable", "1 to 200 printable ASCII characters without a full stop")
    if not TIMESTAMP.fullmatch(headers["webhook-timestamp"]):
        raise Answer(400, "webhook-timestamp is no time", "whole seconds since 1970 (UTC), the time of this attempt")
    if headers.get("Content-Encoding", "identity") != "identity":
        raise Answer(415, "the body is compressed", "send it as it was signed, without Content-Encoding")
    late = int(machine_now().timestamp()) - int(headers["webhook-timestamp"])
    if abs(late) > TOLERANCE:
        where = "behind" if late > 0 else "ahead of"
        raise Answer(
            401,
            f"webhook-timestamp is {abs(late)} seconds {where} our clock",
            f"at most {TOLERANCE} are allowed: set the clock by NTP, and sign every attempt anew",
        )
    return headers["webhook-id"]


@asynccontextmanager
async def body_of(bodies: Bodies, request: web.Request, largest: int = LARGEST) -> AsyncIterator[bytes]:
    """Raises Answer for one that is too large, too slow, or too much beside the others."""
    if (request.content_length or 0) > largest:
        raise Answer(413, *TOO_LARGE)
    try:
        async with bodies.read(request.content) as raw:
            yield raw
    except BodyTooLarge:
        raise Answer(413, *TOO_LARGE) from None
    except BodyTooSlow:
        raise Answer(408, "the body did not arrive in time", "send it at once, with its Content-Length") from None
    except TooManyBodies:
        raise Answer(503, "too much is arriving at once", AGAIN) from None


def _check_signature(webhooks: Sequence[Webhook], request: web.Request, raw: bytes) -> None:
    """Any of the shop's keys will do. The comparison takes the same time for every wrong signature."""
    headers = {name: request.headers[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise Answer(400, "body: is not UTF-8", "JSON is sent as UTF-8 (RFC 8259 section 8.1)") from None
    for webhook in webhooks:
        try:
            webhook.verify(text, headers, json_parse=False)
        except (WebhookVerificationError, ValueError, binascii.Error, OverflowError):
            continue
        return
    raise Answer(
        401,
        "the signature does not fit",
        "v1,base64(HMAC-SHA256(key, id.timestamp.body)) over the very bytes that are sent, with the key in shops.yaml",
    )


def _checked_content(shop: Listens, raw: bytes) -> str:
    """The kind of event. What cannot be read is refused at once, while the sender is listening."""
    try:
        return shop.parse(raw).kind
    except ValueError as error:
        status = 400 if str(error).startswith("body:") else 422
        raise Answer(status, str(error), "the schema is docs/schema/event.schema.json") from None


async def kept(batcher: Batcher[inbox.Delivery, None], delivery: inbox.Delivery) -> None:
    """Returns when it is committed. Raises Answer 503 when that takes too long: sent again, it is still one row."""
    try:
        async with asyncio.timeout(KEEP_PATIENCE):
            await batcher.submit(delivery)
    except Full:
        raise Answer(503, "too much is waiting", AGAIN) from None
    except Exception as error:
        if not is_transient(error):
            raise
        raise Answer(503, "the database is away", AGAIN) from None
