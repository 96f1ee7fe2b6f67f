"""Texts through Twilio: one POST a claim, and every answer means what it means."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr, ValidationError

from channels.base import Asked, Mail, Message, Outcome, Text, attempt
from channels.sms import Config, Sms
from daemon.demo.twilio import ACCOUNT, TOKEN

LINK = "https://t.example/s/7WcQf2mX1bTnLkq9"
TEXT = Text(
    f"Laden: Ihr Warenkorb wartet. {LINK} Abmelden: STOPP",
    timedelta(minutes=10),
    callback_url="http://127.0.0.1:1/?m=x",
)
SINCE = datetime(2026, 3, 2, tzinfo=UTC)
NUMBER = "+4915123456789"


async def always(message: Message) -> bool:
    return True


def message(number: int = 1, to: str = NUMBER, **words: Any) -> Message:
    return Message(1, number, 1000 + number, to, replace(TEXT, **words))


@pytest.fixture
async def make_sms() -> AsyncIterator[Callable[..., Sms]]:
    made: list[Sms] = []

    def make(url: str, **words: Any) -> Sms:
        span = timedelta(seconds=20)
        told = {"account": ACCOUNT, "token": SecretStr(TOKEN), "sender": "+4930123456", "base_url": url}
        made.append(Sms(Config(**{**told, "connect_within": span, "answer_within": span, **words})))
        return made[-1]

    yield make
    for one in made:
        await one.close()


OUTCOMES = {
    "takes it": ("accepted", False, False, True),
    "busy": ("retry_wait", False, False, True),
    "busy until": ("retry_wait", False, False, True),
    "bad number": ("failed", True, False, True),
    "landline": ("failed", True, False, True),
    "said stop": ("failed", True, False, True),
    "no route": ("failed", False, False, True),
    "too long": ("failed", False, False, True),
    "something new": ("retry_wait", False, False, True),
    "unauthorised": ("retry_wait", False, True, False),
    "forbidden": ("retry_wait", False, True, False),
    "bad sender": ("retry_wait", False, True, False),
    "server error": ("unknown", False, False, True),
    "overloaded": ("unknown", False, False, True),
    "takes and fails": ("unknown", False, False, True),
    "resets after": ("unknown", False, False, True),
    "half an answer": ("unknown", False, False, True),
    "garbage": ("unknown", False, False, True),
    "wrong sid": ("unknown", False, False, True),
}


@pytest.mark.parametrize("mood", OUTCOMES)
async def test_each_answer_means_what_it_means_and_is_asked_for_once(mood, twilio, make_sms, caplog):
    caplog.set_level("DEBUG")
    twilio.mood = mood
    sms = make_sms(twilio.url)
    outcome = await attempt(sms, message(), always)
    state, suppress, rests, costs = OUTCOMES[mood]
    assert (outcome.state, outcome.suppress, outcome.rest_channel, outcome.costs_a_try) == (
        state,
        suppress,
        rests,
        costs,
    )
    assert len(twilio.posts) == 1
    assert NUMBER not in f"{outcome!r} {caplog.text}"
    assert "Warenkorb" not in f"{outcome!r} {caplog.text}"
    assert (sms.ready() == 0) == (mood in ("busy", "busy until")), "while it wants rest, nothing is claimed for it"


async def test_hanging_ends_as_unknown_after_our_own_time(twilio, make_sms):
    twilio.mood = "hangs"
    sms = make_sms(twilio.url, answer_within=timedelta(seconds=1.5))
    outcome = await attempt(sms, message(), always)
    assert (outcome.state, len(twilio.posts)) == ("unknown", 1)


async def test_reset_before_anything_was_read_is_unknown_too(twilio, make_sms):
    twilio.mood = "resets before"
    outcome = await attempt(make_sms(twilio.url), message(), always)
    assert (outcome.state, twilio.texts) == ("unknown", [])


async def test_busy_says_when_to_come_again(twilio, make_sms):
    twilio.moods.extend(["busy", "busy until"])
    sms = make_sms(twilio.url)
    waits = [(await attempt(sms, message(), always)).again_after for _ in range(2)]
    assert waits == [timedelta(seconds=2), timedelta(seconds=90)]


async def test_being_stopped_while_waiting_for_the_answer_is_unknown(twilio, make_sms):
    twilio.mood = "hangs"
    sms = make_sms(twilio.url)
    sending = asyncio.create_task(attempt(sms, message(), always))
    async with asyncio.timeout(60):
        while not twilio.texts:
            await asyncio.sleep(0.01)
    sending.cancel()
    assert (await sending).state == "unknown"


async def test_redirect_is_not_followed(make_sms):
    called = []

    async def elsewhere(request: web.Request) -> web.Response:
        called.append(request.path)
        return web.Response(status=307, headers={"Location": f"http://127.0.0.1:{port}/internal"})

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", elsewhere)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    outcome = await attempt(make_sms(f"http://127.0.0.1:{port}"), message(), always)
    assert (outcome.state, len(called)) == ("unknown", 1)
    await runner.cleanup()


async def test_huge_answer_is_not_read_to_its_end(make_sms):
    sent = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(status=201)
        await response.prepare(request)
        try:
            while sent < 50_000_000:
                await response.write(b"x" * 65536)
                sent += 65536
        except (ConnectionError, asyncio.CancelledError):
            pass
        return response

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", flood)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    outcome = await attempt(make_sms(f"http://127.0.0.1:{runner.addresses[0][1]}"), message(), always)
    assert outcome.state == "unknown"
    await runner.cleanup()
    assert sent < 20_000_000


async def test_out_of_reach_costs_no_try_and_is_not_asked_all_the_time(make_sms, unused_tcp_port):
    sms = make_sms(f"http://127.0.0.1:{unused_tcp_port}")
    first, second = [await attempt(sms, message(), always) for _ in range(2)]
    assert {(one.state, one.costs_a_try) for one in (first, second)} == {("retry_wait", False)}
    assert first.again_after < second.again_after
    assert sms.ready() == 0


@pytest.mark.parametrize(
    ("words", "to", "state"),
    [
        pytest.param({"body": ""}, NUMBER, "failed", id="nothing to say"),
        pytest.param({"body": "x" * 1601}, NUMBER, "failed", id="more than Twilio takes"),
        pytest.param({}, "0151 123", "failed", id="no number"),
        pytest.param({}, "+49151,+49152", "failed", id="two numbers in one"),
        pytest.param({"sender": "whatsapp:+4930123456"}, NUMBER, "failed", id="WhatsApp without a template"),
        pytest.param({"sender": "Ein viel zu langer Name"}, NUMBER, "retry_wait", id="a sender that is none"),
    ],
)
async def test_what_cannot_be_a_text_never_leaves(words, to, state, twilio, make_sms):
    outcome = await attempt(make_sms(twilio.url), message(to=to, **words), always)
    assert (outcome.state, twilio.posts) == (state, [])


async def test_mail_is_no_text(twilio, make_sms):
    mail = Mail("s", "t", "h", "a@b.example", "n", "m", "b@b.example")
    outcome = await attempt(make_sms(twilio.url), Message(1, 1, 1, NUMBER, mail), always)
    assert (outcome.state, twilio.posts) == ("failed", [])


async def test_validity_stays_within_what_twilio_takes(make_sms):
    sms = make_sms("http://127.0.0.1:1")
    spans = [timedelta(0), timedelta(minutes=10), timedelta(days=2)]
    assert [sms.form(message(valid_for=span))["ValidityPeriod"] for span in spans] == ["1", "600", "36000"]


async def test_whatsapp_goes_as_an_approved_template(twilio, make_sms):
    sms = make_sms(twilio.url, sender="whatsapp:+4930123456")
    values = {"1": "Ada", "2": LINK}
    sent = message(template="HX" + "0" * 32, values=values)
    assert (await attempt(sms, sent, always)).state == "accepted"
    [form] = twilio.posts
    assert (form["To"], form["From"]) == (f"whatsapp:{NUMBER}", "whatsapp:+4930123456")
    assert json.loads(form["ContentVariables"]) == values
    assert "Body" not in form
    assert (await sms.look_up(Asked(1, NUMBER, sent.content, SINCE))).word == "accepted"


@pytest.mark.parametrize(
    ("listed", "word"),
    [
        pytest.param([(NUMBER, TEXT.body)], "accepted", id="there with our link"),
        pytest.param([], "absent", id="nothing there"),
        pytest.param([(NUMBER, TEXT.body.replace("7WcQ", "7WcR"))], "absent", id="another text of ours"),
        pytest.param([("+4915199999999", TEXT.body)], "absent", id="to somebody else"),
    ],
)
async def test_unknown_one_is_found_by_its_link(listed, word, twilio, make_sms):
    for to, body in listed:
        twilio._taken({"To": to, "From": "+4930123456", "Body": body})
    found = await make_sms(twilio.url).look_up(Asked(1, NUMBER, TEXT, SINCE))
    assert found.word == word
    assert found.provider_id == (twilio.texts[0].sid if word == "accepted" else "")


async def test_list_that_cannot_be_read_says_nothing(twilio, make_sms):
    sms = make_sms(twilio.url)
    asked = Asked(1, NUMBER, TEXT, SINCE)
    twilio.lists = False
    assert (await sms.look_up(asked)).word == "unclear"
    await twilio.stop()
    assert (await sms.look_up(asked)).word == "unclear"


@pytest.mark.parametrize(
    "words",
    [
        pytest.param({"key": "SK1"}, id="a key without its secret"),
        pytest.param({"token": SecretStr("")}, id="no token"),
        pytest.param({"sender": "Ein viel zu langer Name"}, id="a name of more than eleven letters"),
        pytest.param({"account": "4711"}, id="an account that is none"),
    ],
)
def test_settings_that_cannot_work_are_refused(words):
    with pytest.raises(ValidationError):
        Config(**{"account": ACCOUNT, "token": SecretStr(TOKEN), **words})


async def test_key_logs_in_instead_of_the_account(twilio, make_sms):
    sms = make_sms(twilio.url, key="SK1", key_secret=SecretStr("s"))
    outcome: Outcome = await attempt(sms, message(), always)
    assert outcome.rest_channel, "the loopback knows only the account"
    assert sms.config.login == ("SK1", "s")
