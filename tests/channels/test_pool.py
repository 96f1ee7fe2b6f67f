"""The pool: how many connections there are, when they are let go, and when the relay is left alone."""

import asyncio
from datetime import timedelta

import pytest

from channels.base import Retry, Withheld, attempt
from channels.pool import LONGEST_REST, Pool

DROP, HANG = "drop", "hang"


async def always(message):
    return True


async def send(email, make_message, *numbers):
    """Hand over these messages at once; their outcomes by number."""
    outcomes = {}
    messages = [make_message(number) for number in numbers]
    await email.hand_over(messages, always, lambda message, outcome: outcomes.setdefault(message.id, outcome))
    return outcomes


async def test_connections_are_opened_when_wanted_and_no_more_than_allowed(make_relay, make_email, make_message):
    relay = await make_relay()
    email = make_email(relay.port, connections=3)
    assert (relay.connections, email.ready()) == (0, 3)
    outcomes = await send(email, make_message, *range(9))
    assert {outcome.state for outcome in outcomes.values()} == {"accepted"}
    assert relay.connections == 3
    assert email.ready() == 3


async def test_one_connection_carries_one_mail_after_the_other(make_relay, make_email, make_message):
    relay = await make_relay()
    email = make_email(relay.port, connections=1)
    await send(email, make_message, 1, 2, 3)
    assert relay.verbs() == ["EHLO", *["MAIL", "RCPT", "DATA", "."] * 3]


async def test_ready_counts_what_is_in_use(make_relay, make_email, make_message):
    relay = await make_relay(dot=HANG)
    email = make_email(relay.port, connections=2)
    sending = asyncio.create_task(send(email, make_message, 1))
    await relay.told(".")
    assert email.ready() == 1
    relay.ending.set()
    assert (await sending)[1].state == "unknown"
    assert email.ready() == 2


async def test_after_a_refusal_the_connection_is_reset_and_used_again(make_relay, make_email, make_message):
    relay = await make_relay(rcpt=b"550 5.2.2 full\r\n")
    email = make_email(relay.port, connections=1)
    await send(email, make_message, 1, 2)
    await relay.told("RSET", times=2)
    assert relay.connections == 1
    assert relay.verbs() == ["EHLO", "MAIL", "RCPT", "RSET", "MAIL", "RCPT", "RSET"]


async def test_relay_that_does_not_reset_loses_its_connection(make_relay, make_email, make_message):
    relay = await make_relay(rcpt=b"550 5.2.2 full\r\n", rset=b"500 no\r\n")
    email = make_email(relay.port, connections=1)
    outcomes = await send(email, make_message, 1, 2)
    assert {outcome.state for outcome in outcomes.values()} == {"failed"}
    assert relay.connections == 2


async def test_idle_connection_says_goodbye(make_relay, make_email, make_message):
    relay = await make_relay()
    email = make_email(relay.port, connections=2, idle=timedelta(milliseconds=20))
    await send(email, make_message, 1, 2)
    await relay.told("QUIT", times=2)
    await relay.emptied()
    assert email.ready() == 2
    assert (await send(email, make_message, 3))[3].state == "accepted"


async def test_connection_that_lay_idle_is_asked_first(make_relay, make_email, make_message):
    relay = await make_relay()
    email = make_email(relay.port, connections=1)
    await send(email, make_message, 1)
    email.pool.idle[0].used_at -= 20
    assert (await send(email, make_message, 2))[2].state == "accepted"
    assert relay.verbs() == ["EHLO", "MAIL", "RCPT", "DATA", ".", "NOOP", "MAIL", "RCPT", "DATA", "."]


async def test_connection_that_died_while_idle_costs_no_mail(make_relay, make_email, make_message):
    relay = await make_relay(noop=DROP)
    email = make_email(relay.port, connections=1)
    await send(email, make_message, 1)
    email.pool.idle[0].used_at -= 20
    assert (await send(email, make_message, 2))[2].state == "accepted"
    assert relay.connections == 2


async def test_slow_handshake_is_not_wasted(make_relay, make_email, make_message, monkeypatch):
    monkeypatch.setattr("channels.email.FIRST_BYTE", 0.05)
    awake = asyncio.Event()
    relay = await make_relay(ehlo=(awake, b"250 relay.test\r\n"))
    email = make_email(relay.port, connections=1)
    assert (await send(email, make_message, 1))[1].code == "not_sent"
    began_at = email.pool.began_at
    assert email.pool.ready(began_at + 0.9) == 1
    assert email.pool.ready(began_at + 1.1) == 0, "else as many would be claimed in vain until it is there"
    awake.set()
    monkeypatch.setattr("channels.email.FIRST_BYTE", 30.0)
    email.pool.give_back(await email.pool.take(asyncio.get_running_loop().time() + 60))
    assert (await send(email, make_message, 2))[2].state == "accepted"
    assert relay.connections == 1


async def test_unreachable_relay_is_left_alone(make_relay, make_email, make_message):
    relay = await make_relay(connect=b"421 4.3.2 busy\r\n")
    email = make_email(relay.port, connections=5)
    first = await send(email, make_message, *range(5))
    asked = relay.connections
    email.pool.rests_until += 60  # however busy this machine is, they come within the rest
    second = await send(email, make_message, *range(5))
    assert {outcome.state for outcome in (*first.values(), *second.values())} == {"retry_wait"}
    assert {outcome.code for outcome in second.values()} == {"421 4.3.2"}
    assert all(timedelta(0) < outcome.again_after <= timedelta(seconds=65) for outcome in second.values())
    assert not any(outcome.costs_a_try for outcome in (*first.values(), *second.values())), "no byte of them has left"
    assert relay.connections == asked <= 5
    assert email.ready() == 0


async def test_after_the_rest_one_connection_tries_and_then_all(make_relay, make_email, make_message):
    relay = await make_relay(connect=b"421 4.3.2 busy\r\n")
    email = make_email(relay.port, connections=5)
    await send(email, make_message, 1)
    relay.answers.clear()
    email.pool.rests_until = 0.0
    assert email.ready() == 1
    outcomes = await send(email, make_message, *range(10))
    assert {outcome.state for outcome in outcomes.values()} == {"accepted"}
    assert email.ready() == 5


async def test_421_in_the_middle_of_a_mail_counts_as_turned_away(make_relay, make_email, make_message):
    relay = await make_relay(mail=b"421 4.7.0 too fast\r\n")
    email = make_email(relay.port, connections=5)
    await send(email, make_message, 1)
    assert email.pool.ready(email.pool.rests_until - 0.01) == 0


async def test_open_connections_go_on_while_no_other_can_be_had(make_relay, make_email, make_message):
    relay = await make_relay()
    relay.react = lambda verb, line: b"421 4.7.0 too many\r\n" if verb == "CONNECT" and relay.connections > 2 else None
    email = make_email(relay.port, connections=5)
    outcomes = await send(email, make_message, *range(10))
    assert {outcome.state for outcome in outcomes.values()} == {"accepted"}
    assert len(email.pool.idle) == 2
    assert email.pool.failures > 0, "what the old connections do says nothing about new ones"


async def test_rests_grow_to_a_minute_and_failures_of_one_wave_count_once():
    pool = Pool(lambda: None, 5, 30.0, chance=lambda: 1.0)
    for rest in (1, 2, 4, 8, 16, 32, 60, 60, LONGEST_REST):
        pool.rests_until = 0.0
        before = asyncio.get_running_loop().time()
        pool.rest(Retry("no"))
        after = asyncio.get_running_loop().time()
        assert before + rest - 0.001 <= pool.rests_until <= after + rest + 0.001
        pool.rests_until += 60
        pool.rest(Retry("no"))


async def test_jitter_spreads_the_rest_over_its_upper_half():
    for chance, rest in ((0.0, 0.5), (0.5, 0.75), (1.0, 1.0)):
        pool = Pool(lambda: None, 5, 30.0, chance=lambda chance=chance: chance)
        before = asyncio.get_running_loop().time()
        pool.rest(Retry("no"))
        after = asyncio.get_running_loop().time()
        assert before + rest - 0.001 <= pool.rests_until <= after + rest + 0.001


async def test_wrong_password_is_told_to_everybody_who_waits(make_relay, make_email, make_message):
    relay = await make_relay(ehlo=b"250-relay.test\r\n250 AUTH PLAIN\r\n", auth=b"535 5.7.8 no\r\n")
    email = make_email(relay.port, connections=2, username="shop", password="wrong")
    outcomes = await send(email, make_message, *range(5))
    assert {outcome.code for outcome in outcomes.values()} == {"535 5.7.8"}
    assert all(outcome.rest_channel and not outcome.costs_a_try for outcome in outcomes.values())
    assert len(relay.said("AUTH")) <= 2


async def test_closing_gives_back_who_waits_and_lets_go_of_everything(make_relay, make_email, make_message):
    relay = await make_relay(dot=HANG)
    email = make_email(relay.port, connections=1)
    sending = [asyncio.create_task(attempt(email, make_message(number), always)) for number in (1, 2)]
    await relay.told(".")
    await email.close()
    assert (await sending[1]).code == "not_sent"
    assert email.ready() == 0
    relay.ending.set()
    assert (await sending[0]).state == "unknown"
    await relay.emptied()
    with pytest.raises(Withheld):
        await email.pool.take(asyncio.get_running_loop().time() + 1)


async def test_connection_that_comes_in_the_moment_of_being_stopped_is_not_lost(make_relay, make_email, make_message):
    relay = await make_relay()
    email = make_email(relay.port, connections=1)
    line = await email.pool.take(asyncio.get_running_loop().time() + 60)
    waiting = asyncio.create_task(email.pool.take(asyncio.get_running_loop().time() + 60))
    await asyncio.sleep(0)  # lets it begin to wait
    email.pool.give_back(line)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (email.pool.idle, email.pool.lent) == ([line], set())
