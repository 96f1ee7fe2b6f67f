"""What leaves for Twilio is what its own library would send: the same address, words, form and login."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from aiohttp import web
from pydantic import SecretStr
from twilio.http.http_client import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from channels.base import Asked, Message, Text
from channels.sms import Config, Sms
from daemon.demo.twilio import ACCOUNT, TOKEN

NUMBER = "+4915123456789"
SERVICE, TEMPLATE = "MG" + "5" * 32, "HX" + "7" * 32
TEXT = Text(
    "Laden: „Ihr Warenkorb“ wartet 👟 & mehr. https://t.example/s/7WcQf2mX1bTnLkq9 Abmelden: STOPP",
    timedelta(minutes=10),
    callback_url="https://t.example/hooks/channel/sms?m=a.b&c=d",
)
WHATSAPP = replace(TEXT, template=TEMPLATE, values={"1": "Laden", "4": "https://t.example/s/7WcQf2mX1bTnLkq9"})


class Recorder(HttpClient):
    """Prepares each request as Twilio's own client would send it, and sends none."""

    def __init__(self) -> None:
        super().__init__(logging.getLogger(__name__), False)
        self.prepared: list[requests.PreparedRequest] = []

    def request(
        self, method: str, url: str, params: Any = None, data: Any = None, headers: Any = None, auth: Any = None,
        timeout: Any = None, allow_redirects: bool = False,
    ) -> Response:  # fmt: skip
        asked = requests.Request(method.upper(), url, params=params, data=data, headers=headers, auth=auth)
        self.prepared.append(asked.prepare())
        told = {"messages": []} if method.upper() == "GET" else {"sid": "SM" + "0" * 32, "status": "queued"}
        return Response(200 if method.upper() == "GET" else 201, json.dumps(told))


class Listener:
    """What arrives here, byte for byte."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str, str, bytes]] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        seen = request.headers
        self.asked.append(
            (
                request.method,
                request.raw_path,
                seen.get("Content-Type", ""),
                seen["Authorization"],
                await request.read(),
            )
        )
        return web.json_response({"sid": "SM" + "0" * 32, "messages": []}, status=201)


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    made, app = Listener(), web.Application()
    app.router.add_route("*", "/{any:.*}", made.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


def config(url: str, sender: str, **words: Any) -> Config:
    return Config(account=ACCOUNT, token=SecretStr(TOKEN), sender=sender, base_url=url, **words)


async def always(message: Message) -> bool:
    return True


def theirs(recorder: Recorder) -> tuple[str, str, str, str, list[tuple[str, str]]]:
    """What the library would send: method, path, kind of body, login, and the words in order of their names."""
    [asked] = recorder.prepared
    parts = urlsplit(str(asked.url))
    body = asked.body.decode() if isinstance(asked.body, bytes) else asked.body or ""
    kind = asked.headers.get("Content-Type", "") if asked.method == "POST" else ""
    return str(asked.method), parts.path, kind, asked.headers["Authorization"], words(body or parts.query)


def ours(listener: Listener) -> tuple[str, str, str, str, list[tuple[str, str]]]:
    [(method, path, kind, login, body)] = listener.asked
    parts = urlsplit(path)
    return method, parts.path, kind if method == "POST" else "", login, words(body.decode() or parts.query)


def words(form: str) -> list[tuple[str, str]]:
    return sorted(parse_qsl(form, keep_blank_values=True, strict_parsing=True))


@pytest.mark.parametrize(
    ("sender", "text", "said"),
    [
        pytest.param("+4930123456", TEXT, {"from_": "+4930123456", "body": TEXT.body}, id="from a number"),
        pytest.param("Morgenrot", TEXT, {"from_": "Morgenrot", "body": TEXT.body}, id="from a name"),
        pytest.param(
            SERVICE, TEXT, {"messaging_service_sid": SERVICE, "body": TEXT.body}, id="from a Messaging Service"
        ),
        pytest.param(
            "whatsapp:+4930123456",
            WHATSAPP,
            {
                "from_": "whatsapp:+4930123456",
                "content_sid": TEMPLATE,
                "content_variables": json.dumps(dict(WHATSAPP.values), ensure_ascii=False),
            },
            id="by WhatsApp",
        ),
    ],
)
async def test_message_is_the_one_that_the_library_would_send(listener, sender, text, said):
    recorder = Recorder()
    to = f"whatsapp:{NUMBER}" if sender.startswith("whatsapp:") else NUMBER
    common = {"validity_period": 600, "status_callback": text.callback_url}
    Client(ACCOUNT, TOKEN, http_client=recorder).messages.create(to=to, **said, **common)
    sms = Sms(config(listener.url, sender))
    await sms.send(Message(1, 1, 1, NUMBER, text), always)
    await sms.close()
    assert ours(listener) == theirs(recorder)


async def test_login_with_a_key_is_the_one_of_the_library(listener):
    recorder = Recorder()
    Client("SK" + "1" * 32, "s3cret", ACCOUNT, http_client=recorder).messages.create(
        to=NUMBER, from_="+4930123456", body=TEXT.body, validity_period=600, status_callback=TEXT.callback_url
    )
    sms = Sms(config(listener.url, "+4930123456", key="SK" + "1" * 32, key_secret=SecretStr("s3cret")))
    await sms.send(Message(1, 1, 1, NUMBER, TEXT), always)
    await sms.close()
    assert ours(listener) == theirs(recorder)


@pytest.mark.parametrize(("sender", "prefix"), [("+4930123456", ""), ("whatsapp:+4930123456", "whatsapp:")])
async def test_list_is_asked_for_as_the_library_would(listener, sender, prefix):
    recorder = Recorder()
    Client(ACCOUNT, TOKEN, http_client=recorder).messages.list(to=f"{prefix}{NUMBER}", limit=50, page_size=50)
    sms = Sms(config(listener.url, sender))
    await sms.look_up(Asked(1, NUMBER, TEXT if not prefix else WHATSAPP, datetime(2026, 3, 2, tzinfo=UTC)))
    await sms.close()
    assert ours(listener) == theirs(recorder)
