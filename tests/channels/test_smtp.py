"""The phase-aware driver: what a relay does, what we say about it, and what the relay has really got."""

import asyncio
from datetime import timedelta

import pytest

from channels.base import Retry, attempt
from channels.smtp import Envelope, transact

DROP, RESET, HANG = "drop", "reset", "hang"
SHORT = {"data": {"to_dot": timedelta(seconds=2)}, "dot": {"from_dot": timedelta(milliseconds=100)}}
"""Who does not answer is not waited for any longer."""


async def always(message):
    return True


def answering(*answers):
    """A gate that gives these answers in turn."""
    left = list(answers)

    async def gate(message):
        return left.pop(0)

    return gate


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param({}, ("accepted", ""), id="taken"),
        pytest.param({"rcpt": b"251 will forward\r\n"}, ("accepted", ""), id="taken and forwarded"),
        pytest.param({"ehlo": b"502 no\r\n"}, ("accepted", ""), id="an old relay that only knows HELO"),
        pytest.param({"connect": DROP}, ("retry_wait", "connection"), id="hangs up at once"),
        pytest.param({"connect": b"421 busy\r\n"}, ("retry_wait", "421"), id="too busy to greet"),
        pytest.param({"connect": b"junk\r\n"}, ("retry_wait", "connection"), id="no SMTP at all"),
        pytest.param({"ehlo": DROP}, ("retry_wait", "connection"), id="hangs up at EHLO"),
        pytest.param({"mail": DROP}, ("retry_wait", "connection"), id="hangs up at MAIL"),
        pytest.param({"mail": b"451 4.3.0 later\r\n"}, ("retry_wait", "451 4.3.0"), id="busy at MAIL"),
        pytest.param({"rcpt": DROP}, ("retry_wait", "connection"), id="hangs up at RCPT"),
        pytest.param({"rcpt": b"garbage\r\n"}, ("retry_wait", "connection"), id="garbage at RCPT"),
        pytest.param({"rcpt": b"999 what\r\n"}, ("retry_wait", "999"), id="a code that is none at RCPT"),
        pytest.param({"rcpt": b"450 4.2.0 greylisted\r\n"}, ("retry_wait", "450 4.2.0"), id="greylisted"),
        pytest.param({"rcpt": b"452 4.5.3 too many\r\n"}, ("retry_wait", "452 4.5.3"), id="too many recipients"),
        pytest.param({"rcpt": b"550 5.2.2 full\r\n"}, ("failed", "550 5.2.2"), id="refused at RCPT"),
        pytest.param({"rcpt": b"550 no\r\n"}, ("failed", "550"), id="refused at RCPT without a reason"),
        pytest.param({"data": DROP}, ("retry_wait", "connection"), id="hangs up at DATA"),
        pytest.param({"data": RESET}, ("retry_wait", "connection"), id="resets at DATA"),
        pytest.param({"data": b"421 4.3.2 closing\r\n"}, ("retry_wait", "421 4.3.2"), id="421 at DATA"),
        pytest.param({"data": b"250 sure\r\n"}, ("retry_wait", "250"), id="DATA answered like any other command"),
        pytest.param({"data": HANG}, ("retry_wait", "connection"), id="no answer to DATA"),
        pytest.param({"dot": DROP}, ("unknown", "after_dot"), id="hangs up after the dot"),
        pytest.param({"dot": RESET}, ("unknown", "after_dot"), id="resets after the dot"),
        pytest.param({"dot": HANG}, ("unknown", "after_dot"), id="no answer to the dot"),
        pytest.param({"dot": b"ok, thanks\r\n"}, ("unknown", "after_dot"), id="garbage after the dot"),
        pytest.param({"dot": b"354 more\r\n"}, ("unknown", "354"), id="asks for more after the dot"),
        pytest.param({"dot": (b"25", DROP)}, ("unknown", "after_dot"), id="half an answer after the dot"),
        pytest.param({"dot": (b"250-half\r\n", DROP)}, ("unknown", "after_dot"), id="half of two lines after the dot"),
        pytest.param({"dot": (b"250 ok\r\n", DROP)}, ("accepted", ""), id="taken, then hung up"),
        pytest.param({"dot": b"421 4.3.2 closing\r\n"}, ("retry_wait", "421 4.3.2"), id="421 after the dot"),
        pytest.param({"dot": b"451 4.3.0 later\r\n"}, ("retry_wait", "451 4.3.0"), id="busy after the dot"),
        pytest.param({"dot": b"554 5.6.0 no\r\n"}, ("failed", "554 5.6.0"), id="refused after the dot"),
    ],
)
async def test_outcome(make_relay, make_email, make_message, answers, expected):
    relay = await make_relay(**answers)
    [short, *_] = [*(SHORT[verb] for verb, answer in answers.items() if answer == HANG), {}]
    email = make_email(relay.port, **short)
    outcome = await attempt(email, make_message(), always)
    assert (outcome.state, outcome.code) == expected
    assert outcome.suppress is False
    assert outcome.rest_channel is False
    taken = outcome.state in ("accepted", "unknown")
    assert bool(relay.mails) >= taken, "what counts as perhaps taken had its dot"


async def test_dialogue_is_plain_and_has_one_recipient(make_relay, make_email, make_message):
    relay = await make_relay()
    outcome = await attempt(make_email(relay.port), make_message(), always)
    assert outcome.provider_id == "Ok: queued as 4711"
    assert relay.lines == [
        "EHLO sender.test",
        "MAIL FROM:<b+token@bounce.shop.example>",
        "RCPT TO:<ada@example.org>",
        "DATA",
        ".",
    ]


async def test_dots_and_line_ends_arrive_as_written(make_relay, make_email, make_message):
    relay = await make_relay()
    await attempt(make_email(relay.port), make_message(), always)
    [mail] = relay.mails
    assert b"\r\n=2E\r\n...zwei Punkte\r\n" in mail
    assert mail.count(b"\r\n") == mail.count(b"\n") == mail.count(b"\r")


async def test_withheld_before_the_first_byte(make_relay, make_email, make_message):
    relay = await make_relay()
    outcome = await attempt(make_email(relay.port), make_message(), answering(False))
    assert (outcome.state, outcome.code, outcome.costs_a_try) == ("retry_wait", "not_sent", False)
    assert relay.verbs() == ["EHLO"]


async def test_withheld_before_the_body_resets_and_the_connection_goes_on(make_relay, make_email, make_message):
    relay = await make_relay()
    email = make_email(relay.port, connections=1)
    outcome = await attempt(email, make_message(1), answering(True, False))
    assert (outcome.state, outcome.code) == ("retry_wait", "not_sent")
    assert (await attempt(email, make_message(2), always)).state == "accepted"
    assert relay.verbs() == ["EHLO", "MAIL", "RCPT", "RSET", "MAIL", "RCPT", "DATA", "."]
    assert relay.connections == 1


async def test_slow_answer_to_data_asks_once_more_before_the_dot(make_relay, make_email, make_message, monkeypatch):
    monkeypatch.setattr("channels.smtp.FRESH", 0.0)
    relay = await make_relay()
    outcome = await attempt(make_email(relay.port), make_message(), answering(True, True, False))
    assert (outcome.state, outcome.code) == ("retry_wait", "not_sent")
    await relay.emptied()
    assert relay.mails == [], "the connection was dropped without the dot"


async def test_gate_that_fails_says_no_and_tells_no_address(make_relay, make_email, make_message):
    async def gate(message):
        raise RuntimeError(message.address)

    relay = await make_relay()
    outcome = await attempt(make_email(relay.port), make_message(), gate)
    assert (outcome.state, outcome.code, outcome.costs_a_try) == ("retry_wait", "not_sent", False)
    assert "ada" not in outcome.error
    assert relay.verbs() == ["EHLO"]


async def test_no_connection_within_a_second_gives_the_message_back(make_relay, make_email, make_message, monkeypatch):
    monkeypatch.setattr("channels.email.FIRST_BYTE", 0.05)
    relay = await make_relay(ehlo=HANG)
    outcome = await attempt(make_email(relay.port), make_message(), always)
    assert (outcome.state, outcome.code, outcome.costs_a_try) == ("retry_wait", "not_sent", False)


async def test_slow_gate_gives_the_message_back(make_relay, make_email, make_message, monkeypatch):
    async def gate(message):
        await asyncio.Event().wait()

    monkeypatch.setattr("channels.email.FIRST_BYTE", 0.05)
    relay = await make_relay()
    email = make_email(relay.port, connections=1)
    outcome = await attempt(email, make_message(), gate)
    assert (outcome.state, outcome.code) == ("retry_wait", "not_sent")
    monkeypatch.setattr("channels.email.FIRST_BYTE", 30.0)
    assert (await attempt(email, make_message(), always)).state == "accepted"
    assert relay.connections == 1


async def test_body_that_nobody_reads_is_dropped_without_its_dot(make_relay, make_email):
    async def gate():
        return True

    relay = await make_relay(data=(b"354 go\r\n", HANG))
    line = await make_email(relay.port).open()
    huge = Envelope("b@shop.example", "ada@example.org", (b"x" * 76 + b"\r\n") * 400_000)
    with pytest.raises(Retry) as caught:
        await transact(line, huge, gate, asyncio.get_running_loop().time() + 0.5, 5.0)
    assert caught.value.code == "connection"
    assert (line.dotted, line.usable) == (False, False)
    line.abort()


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        pytest.param("EHLO", ("retry_wait", "not_sent"), id="while connecting"),
        pytest.param("MAIL", ("retry_wait", "stopped"), id="after the first byte"),
        pytest.param("DATA", ("retry_wait", "stopped"), id="before the dot"),
        pytest.param(".", ("unknown", "after_dot"), id="after the dot"),
    ],
)
async def test_stopped(make_relay, make_email, make_message, at, expected):
    relay = await make_relay(**{at: HANG})
    sending = asyncio.create_task(attempt(make_email(relay.port), make_message(), always))
    await relay.told(at)
    sending.cancel()
    outcome = await sending
    assert (outcome.state, outcome.code) == expected


async def test_stopping_a_whole_hand_over_reports_everybody(make_relay, make_email, make_message):
    relay = await make_relay(dot=HANG)
    email = make_email(relay.port, connections=2)
    reports = []
    messages = [make_message(number) for number in range(1, 6)]
    sending = asyncio.create_task(
        email.hand_over(messages, always, lambda message, outcome: reports.append((message.id, outcome)))
    )
    await relay.told(".", times=2)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert sorted(number for number, _ in reports) == [1, 2, 3, 4, 5]
    assert sorted(outcome.state for _, outcome in reports) == ["retry_wait"] * 3 + ["unknown"] * 2


@pytest.mark.parametrize(
    ("offers", "wish"),
    [
        pytest.param("DSN", {"dsn": "failure", "notify": " NOTIFY=FAILURE"}, id="of failures"),
        pytest.param("DSN", {"dsn": "always", "notify": " NOTIFY=SUCCESS,FAILURE"}, id="of both"),
        pytest.param("DSN", {"dsn": "never", "notify": ""}, id="not wanted"),
        pytest.param("HELP", {"dsn": "always", "notify": ""}, id="not offered"),
    ],
)
async def test_delivery_reports(make_relay, make_email, make_message, offers, wish):
    relay = await make_relay(ehlo=f"250-relay.test\r\n250 {offers}\r\n".encode())
    await attempt(make_email(relay.port, dsn=wish["dsn"]), make_message(message_id="1+a=b@shop.example"), always)
    envid = " RET=HDRS ENVID=1+2Ba+3Db@shop.example" if wish["notify"] else ""
    assert relay.said("MAIL") == [f"MAIL FROM:<b+token@bounce.shop.example>{envid}"]
    assert relay.said("RCPT") == [f"RCPT TO:<ada@example.org>{wish['notify']}"]


async def test_size_is_told_and_a_mail_too_big_is_refused_before_it_is_sent(make_relay, make_email, make_message):
    relay = await make_relay(ehlo=b"250-relay.test\r\n250 SIZE 5000\r\n")
    email = make_email(relay.port)
    small = await attempt(email, make_message(1), always)
    big = await attempt(email, make_message(2, text="x" * 6000), always)
    assert (small.state, big.state, big.code) == ("accepted", "failed", "size")
    assert [line.partition(" SIZE=")[2].isdecimal() for line in relay.said("MAIL")] == [True]


async def test_international_address_needs_a_relay_that_can(make_relay, make_email, make_message):
    old, new = await make_relay(), await make_relay(ehlo=b"250-relay.test\r\n250 SMTPUTF8\r\n")
    message = make_message(address="jörg@müller.example")
    refused = await attempt(make_email(old.port), message, always)
    accepted = await attempt(make_email(new.port), message, always)
    assert (refused.state, refused.code, accepted.state) == ("failed", "smtputf8", "accepted")
    assert old.said("MAIL") == []
    assert new.said("MAIL") == ["MAIL FROM:<b+token@bounce.shop.example> SMTPUTF8"]
    assert new.said("RCPT") == ["RCPT TO:<jörg@xn--mller-kva.example>"]
    assert "To: jörg@xn--mller-kva.example\r\n".encode() in new.mails[0]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"envelope_sender": "no address"}, ("retry_wait", True), id="bounce address is wrong"),
        pytest.param({"sender": "jörg@shop.example"}, ("retry_wait", True), id="sender is not plain"),
        pytest.param({"reply_to": "a@b, c@d"}, ("retry_wait", True), id="two reply addresses"),
        pytest.param({"subject": "a\r\nBcc: x@y"}, ("failed", False), id="line break in the subject"),
        pytest.param({"headers": (("To", "x@y"),)}, ("failed", False), id="a second To"),
    ],
)
async def test_unsendable_content_never_reaches_the_relay(make_relay, make_email, make_message, changes, expected):
    relay = await make_relay()
    outcome = await attempt(make_email(relay.port), make_message(**changes), always)
    assert (outcome.state, outcome.rest_channel) == expected
    assert outcome.suppress is False
    assert relay.connections == 0
    assert "@" not in outcome.error
