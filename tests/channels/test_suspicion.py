"""One recipient's private policy stops nobody else's mail; the same answer to everybody is the sender's fault."""

from datetime import timedelta

from channels.base import Misconfigured, attempt
from channels.suspicion import MANY, ByPolicy, Suspicion

POLICY = b"550 5.7.1 not from you\r\n"


async def always(message):
    return True


def judged(suspicion, *keys):
    return [type(suspicion.judged(key, ByPolicy("no", code="550 5.7.1"))) for key in keys]


def test_the_third_in_a_row_is_the_senders_fault():
    assert judged(Suspicion(), 1, 2, 3, 4) == [ByPolicy, ByPolicy, Misconfigured, Misconfigured]


def test_one_message_that_is_tried_again_proves_nothing():
    assert judged(Suspicion(), *[1] * 10) == [ByPolicy] * 10


def test_whatever_is_taken_between_lifts_it():
    suspicion = Suspicion()
    assert judged(suspicion, 1, 2) == [ByPolicy] * 2
    suspicion.lifted()
    assert judged(suspicion, 3, 4, 5) == [ByPolicy, ByPolicy, Misconfigured]


def test_it_remembers_no_more_than_it_needs():
    suspicion = Suspicion()
    judged(suspicion, *range(1000))
    assert len(suspicion.refused) == MANY


async def test_a_recipient_with_a_private_policy_rests_nobody(make_relay, make_email, make_message):
    relay = await make_relay()
    relay.react = lambda verb, line: POLICY if verb == "RCPT" and "eva@" in line else None
    email = make_email(relay.port, connections=1)
    for number in (1, 2, 1, 3, 1, 4):
        address = "eva@leak.test" if number == 1 else "ada@example.org"
        outcome = await attempt(email, make_message(number, address), always)
        if number > 1:
            assert outcome.state == "accepted"
            continue
        assert (outcome.state, outcome.rest_channel, outcome.costs_a_try) == ("retry_wait", False, True)
        assert (outcome.again_after, outcome.suppress) == (timedelta(hours=1), False)


async def test_a_relay_that_turns_everybody_away_rests_the_channel(make_relay, make_email, make_message):
    relay = await make_relay(rcpt=POLICY)
    email = make_email(relay.port, connections=1)
    outcomes = [await attempt(email, make_message(number), always) for number in range(5)]
    assert [outcome.rest_channel for outcome in outcomes] == [False, False, True, True, True]
    assert [outcome.costs_a_try for outcome in outcomes] == [True, True, False, False, False]
    assert {outcome.state for outcome in outcomes} == {"retry_wait"}
    assert not any(outcome.suppress for outcome in outcomes)
