"""One push, one POST: what it says, and what becomes of each answer of a push service."""

import asyncio
import hmac
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import http_ece
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from pywebpush import WebPusher

from channels.base import Asked, Message, Push
from channels.webpush import Config, WebPush, wish
from channels.webpush_bytes import (
    MOST,
    BadKey,
    bytes64,
    mac,
    made,
    made_from,
    pads,
    sealed,
    signer,
    text64,
    written,
)
from daemon.demo.push_service import PushService

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEY = made()


@pytest.fixture
async def service():
    running = PushService(AT.timestamp)
    await running.start()
    yield running
    await running.close()


@pytest.fixture
async def channel(service):
    config = Config(
        private_key=KEY, contact="mailto:push@shop.example", hosts=(service.url,), patience=timedelta(seconds=20)
    )
    opened = WebPush(config, now=lambda: AT)
    yield opened
    await opened.close()


async def always(message):
    return True


def push_to(browser, number=1, **more):
    content = {"payload": json.dumps({"tag": f"t{number}", "title": "Grüße 👋"}).encode(), "p256dh": browser.p256dh,
               "auth": browser.auth, "ttl": timedelta(hours=1), "topic": f"t{number}", **more}  # fmt: skip
    return Message(1, number, 1, browser.endpoint, Push(**content))


async def sent(channel, *messages):
    """The outcomes, in the order of the messages."""
    found = {}
    await channel.hand_over(messages, always, lambda message, outcome: found.update({message.id: outcome}))
    return [found[message.id] for message in messages]


async def test_browser_reads_what_was_sent_and_the_service_believes_who_sent_it(channel, service):
    browser = service.browser(channel.public_key)
    [outcome] = await sent(channel, push_to(browser, urgency="low"))
    assert outcome.state == "accepted"
    assert browser.shown == {"t1": {"tag": "t1", "title": "Grüße 👋"}}
    [taken] = service.taken
    assert (taken.ttl, taken.topic, taken.urgency) == (3600, "t1", "low")


@pytest.mark.parametrize(
    ("status", "state", "traits"),
    [
        (200, "accepted", {}),
        (201, "accepted", {}),
        (202, "accepted", {}),
        (307, "failed", {"gone": False}),
        (400, "failed", {"gone": False}),
        (401, "retry_wait", {"rest_channel": True, "costs_a_try": False}),
        (403, "retry_wait", {"rest_channel": True, "costs_a_try": False}),
        (404, "failed", {"gone": True}),
        (410, "failed", {"gone": True}),
        (413, "failed", {"gone": False}),
        (429, "retry_wait", {"again_after": None, "costs_a_try": True}),
        (500, "unknown", {}),
        (502, "unknown", {}),
        (503, "retry_wait", {"rest_channel": False}),
    ],
)
async def test_each_answer_has_its_meaning(channel, service, status, state, traits):
    hits = []

    async def answers(request):
        hits.append(request.path)
        return web.Response(status=status, headers={"Location": f"{service.url}/elsewhere"})

    service.mood = answers
    [outcome] = await sent(channel, push_to(service.browser()))
    assert (outcome.state, {name: getattr(outcome, name) for name in traits}) == (state, traits)
    assert outcome.state == "accepted" or outcome.code == str(status)
    assert len(hits) == 1, "asked once, and nowhere else"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (format_datetime(AT + timedelta(minutes=5), usegmt=True), 300),
        ("Fri, 20 Nov 2026 12:05:00", 300),
        (format_datetime(AT - timedelta(minutes=5), usegmt=True), 0),
        ("999999999999", 86400),
        ("Fri, 20 Nov 2099 12:05:00 GMT", 86400),
        ("soon", None),
        ("", None),
        ("-5", None),
        ("١٢", None),
        ("Fri, 99 Nov 2026 99:99:99 GMT", None),
    ],
)
def test_service_says_when_to_come_again_in_seconds_or_as_a_date(text, seconds):
    assert wish(text, AT) == (None if seconds is None else timedelta(seconds=seconds))


async def test_wish_to_be_asked_later_is_kept(channel, service):
    async def busy(request):
        return web.Response(
            status=429, headers={"Retry-After": format_datetime(AT + timedelta(minutes=7), usegmt=True)}
        )

    service.mood = busy
    [outcome] = await sent(channel, push_to(service.browser()))
    assert outcome.again_after == timedelta(minutes=7)


async def test_service_that_hangs_or_hangs_up_leaves_it_open_and_it_may_be_sent_again(channel, service):
    channel.config = channel.config.model_copy(update={"patience": timedelta(seconds=0.3)})
    never = asyncio.Event()

    async def hangs(request):
        await request.read()
        if request.path.endswith("a" * 32):
            request.transport.abort()
        await asyncio.wait_for(never.wait(), 30)

    service.mood = hangs
    one = service.browser()
    [outcome] = await sent(channel, push_to(one))
    never.set()
    assert (outcome.state, outcome.code) == ("unknown", "no answer")
    content = push_to(one).content
    assert (await channel.look_up(Asked(1, one.endpoint, content, AT))).word == "absent"


async def test_answer_of_fifty_megabytes_is_not_read(channel, service):
    wrote = 0

    async def floods(request):
        nonlocal wrote
        await request.read()
        answer = web.StreamResponse(status=201)
        answer.content_length = 50_000_000
        await answer.prepare(request)
        try:
            while wrote < 50_000_000:
                await answer.write(bytes(65536))
                wrote += 65536
        except OSError:
            pass
        return answer

    service.mood = floods
    [outcome] = await sent(channel, push_to(service.browser()))
    assert outcome.state == "accepted"
    assert wrote < 25_000_000


async def test_each_origin_has_a_signature_of_its_own_and_one_an_hour(service):
    other = PushService(AT.timestamp)
    await other.start()
    at = [AT]
    config = Config(private_key=KEY, contact="mailto:push@shop.example", hosts=(service.url, other.url))
    channel = WebPush(config, now=lambda: at[0])
    try:
        browsers = [one.browser(channel.public_key) for one in (service, other) for _ in range(10)]
        for number in range(3):
            at[0] = AT + timedelta(minutes=25 * number)
            outcomes = await sent(channel, *(push_to(one, no) for no, one in enumerate(browsers)))
            assert {outcome.state for outcome in outcomes} == {"accepted"}
            assert channel.identity.signatures == (2 if number < 3 else 4)
        at[0] = AT + timedelta(minutes=61)
        await sent(channel, *(push_to(one, no) for no, one in enumerate(browsers)))
        assert channel.identity.signatures == 4
        assert len(service.signatures) == len(other.signatures) == 2
    finally:
        await channel.close()
        await other.close()


async def test_endpoint_that_is_not_allowed_is_not_asked_and_forgotten(channel, service):
    browser = service.browser()
    browser.endpoint = "https://127.0.0.1/push/x"
    [outcome] = await sent(channel, push_to(browser))
    assert (outcome.state, outcome.code, outcome.gone) == ("failed", "endpoint", True)
    assert "127.0.0.1" not in outcome.error


def test_independent_library_reads_our_bytes_and_we_send_what_theirs_would():
    private = ec.generate_private_key(ec.SECP256R1())
    p256dh, auth = text64(written(private.public_key())), text64(bytes(range(16)))
    for length in (0, 1, 205, 2500, MOST):
        plain = bytes(length)
        body = sealed(plain, p256dh, auth)
        read = http_ece.decrypt(body, private_key=private, auth_secret=bytes64(auth), version="aes128gcm")
        assert read == plain
        info = {"endpoint": "https://push.example", "keys": {"p256dh": p256dh, "auth": auth}}
        assert not plain or len(body) == len(WebPusher(info).encode(plain)["body"])
    assert len(sealed(bytes(MOST), p256dh, auth)) == 4096
    with pytest.raises(BadKey, match="longer"):
        sealed(bytes(MOST + 1), p256dh, auth)


def test_no_two_pushes_share_a_key_or_a_salt():
    private = ec.generate_private_key(ec.SECP256R1())
    p256dh, auth = text64(written(private.public_key())), text64(bytes(16))
    heads = {sealed(b"x", p256dh, auth)[:86] for _ in range(20)}
    assert len({head[:16] for head in heads}) == len({head[21:] for head in heads}) == 20


def test_independent_library_believes_our_signature():
    own = signer(KEY)
    expires = int(datetime(2099, 1, 1, tzinfo=UTC).timestamp())
    header = own.header("https://push.example", "mailto:a@shop.example", expires)
    token = header.removeprefix("vapid t=").partition(",")[0]
    public = own.private.public_key()
    claims = jwt.decode(token, public, algorithms=["ES256"], audience="https://push.example")
    assert claims == {"aud": "https://push.example", "exp": expires, "sub": "mailto:a@shop.example"}
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(token, public, algorithms=["ES256"], audience="https://other.example")


def test_key_of_a_data_folder_is_always_the_same_and_another_one_is_another():
    assert made_from(bytes(32)) == made_from(bytes(32)) != made_from(b"\1" * 32)
    assert signer(made_from(bytes(32))).public


@pytest.mark.parametrize("text", ["", "AAAA", text64(bytes(32)), text64(b"\xff" * 32), "!" * 43])
def test_what_is_no_private_key_is_refused(text):
    with pytest.raises(BadKey):
        signer(text)


@pytest.mark.parametrize("length", [0, 1, 16, 32, 64])
def test_what_the_keys_are_made_with_is_hmac(length):
    key, message = bytes(range(length)), b"Content-Encoding: nonce\0\1"
    assert mac(pads(key), message) == hmac.digest(key, message, "sha256")
