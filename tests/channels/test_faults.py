"""Debian's smtp-sink with its fourteen ways to fail, fifty times each: what may have been taken is never sent again."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from channels.base import attempt

TIMES = 50

SINK = [
    ((), "accepted", "takes the mail"),
    (("-q", "CONNECT"), "retry_wait", "hangs up when greeted"),
    (("-q", "MAIL"), "retry_wait", "hangs up at MAIL"),
    (("-q", "RCPT"), "retry_wait", "hangs up at RCPT"),
    (("-q", "DATA"), "retry_wait", "hangs up at DATA"),
    (("-q", "."), "unknown", "hangs up after the dot"),
    (("-Q", "DATA"), "retry_wait", "421 at DATA"),
    (("-Q", "."), "retry_wait", "421 after the dot"),
    (("-r", "RCPT"), "retry_wait", "450 at RCPT"),
    (("-r", "."), "retry_wait", "450 after the dot"),
    (("-f", "RCPT"), "failed", "500 at RCPT"),
    (("-f", "."), "failed", "500 after the dot"),
    (("-w", "8"), "retry_wait", "no answer to DATA"),
    (("-A", "0"), "unknown", "550 during the body, then hangs up"),
]


async def always(message):
    return True


@pytest.mark.parametrize("pace", [(), ("-p",)], ids=["all at once", "one by one"])
@pytest.mark.parametrize(("options", "state"), [case[:2] for case in SINK], ids=[case[2] for case in SINK])
async def test_fault(make_sink, make_email, make_message, options, state, pace):
    port = await make_sink(*pace, *options)
    spans = {"to_dot": timedelta(seconds=1 if "-w" in options else 30), "from_dot": timedelta(seconds=30)}

    async def once(number):
        email = make_email(port, connections=1, **spans)  # its own, so that no rest hides the fault from the next
        return await attempt(email, make_message(number), always)

    outcomes = await asyncio.gather(*(once(number) for number in range(TIMES)))
    assert Counter(outcome.state for outcome in outcomes) == {state: TIMES}
    assert not any(outcome.suppress or outcome.rest_channel for outcome in outcomes)
    assert not any("@" in outcome.error for outcome in outcomes)


@pytest.mark.parametrize("verb", ["CONNECT", "MAIL"])
async def test_relay_that_turns_every_mail_away_rests_the_channel(make_sink, make_email, make_message, verb):
    port = await make_sink("-f", verb)
    outcome = await attempt(make_email(port), make_message(), always)
    assert (outcome.state, outcome.rest_channel, outcome.costs_a_try) == ("retry_wait", True, False)


async def test_relay_without_esmtp_takes_the_mail(make_sink, make_email, make_message):
    port = await make_sink("-e")
    assert (await attempt(make_email(port), make_message(), always)).state == "accepted"
