"""The next envelope behind the last mail's dot: what each of the two may cost the other."""

import asyncio
from datetime import timedelta

import pytest

from tests.channels.talk import FIRST, Relay, channel_to, handed_over, outcomes_of


async def test_next_envelope_goes_out_while_the_last_mail_is_not_answered(make_message):
    relay = Relay(holds={(".", FIRST)})
    async with channel_to(relay) as email:
        sending = asyncio.create_task(outcomes_of(email, make_message, (1, 2)))
        await relay.heard("DATA", 2).wait()
        assert relay.taken == [FIRST], "taken, and the answer not yet given"
        assert b"person2" in relay.talks[0].stream
        relay.talks[0].go_on()
        assert {number: outcome.state for number, outcome in (await sending).items()} == {1: "accepted", 2: "accepted"}
        assert len(relay.talks) == 1


async def test_connection_that_carries_one_mail_counts_half(make_message):
    relay = Relay(holds={(".", FIRST)})
    async with channel_to(relay, connections=3) as email:
        counts = [email.ready()]
        sending = asyncio.create_task(outcomes_of(email, make_message, (1,)))
        await relay.heard(".", 1).wait()
        counts.append(email.ready())
        relay.talks[0].go_on()
        await sending
        assert [*counts, email.ready()] == [3, 2, 3], "two and a half, of which whole ones count"


async def test_relay_that_thinks_long_about_a_mail_gets_no_envelope_behind_it(make_message, monkeypatch):
    monkeypatch.setattr("channels.pool.FOLLOWS_WITHIN", -1.0)
    relay = Relay(holds={(".", FIRST)})
    async with channel_to(relay) as email:
        outcomes = {}
        sending = asyncio.create_task(outcomes_of(email, make_message, (1,), outcomes=outcomes))
        await relay.heard(".", 1).wait()
        monkeypatch.setattr("channels.email.FIRST_BYTE", 0.2)
        second = await outcomes_of(email, make_message, (2,))
        assert (second[2].code, second[2].costs_a_try) == ("not_sent", False)
        assert b"person2" not in relay.talks[0].stream
        relay.talks[0].go_on()
        await sending
        assert outcomes[1].state == "accepted"


async def test_mail_that_runs_out_of_time_behind_another_does_not_cost_that_its_answer(make_message):
    relay = Relay(holds={(".", FIRST)})
    async with channel_to(relay) as email:
        outcomes, second = {}, {}
        sending = asyncio.create_task(outcomes_of(email, make_message, (1,), outcomes=outcomes))
        await relay.heard(".", 1).wait()
        email.config = email.config.model_copy(update={"to_dot": timedelta(milliseconds=300)})
        await outcomes_of(email, make_message, (2,), outcomes=second)
        assert (second[2].state, second[2].code) == ("retry_wait", "connection")
        assert outcomes == {}
        relay.talks[0].go_on()
        await sending
        assert outcomes[1].state == "accepted"
        assert relay.taken == [FIRST]


async def test_mail_whose_answer_never_comes_lets_the_one_behind_it_go(make_message):
    relay = Relay(holds={(".", FIRST)})
    outcomes = await handed_over(relay, make_message, (1, 2), from_dot=timedelta(milliseconds=200))
    assert (outcomes[1].state, outcomes[2].state) == ("unknown", "retry_wait")


async def test_being_stopped_says_of_each_mail_how_far_it_got(make_message):
    relay = Relay(holds={(".", FIRST)})
    outcomes = {}
    async with channel_to(relay) as email:
        sending = asyncio.create_task(outcomes_of(email, make_message, (1, 2, 3, 4), outcomes=outcomes))
        await relay.heard("DATA", 2).wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
    told = {number: (outcome.state, outcome.code) for number, outcome in outcomes.items()}
    nothing = ("retry_wait", "not_sent")
    assert told == {1: ("unknown", "after_dot"), 2: ("retry_wait", "stopped"), 3: nothing, 4: nothing}


async def test_421_for_one_mail_leaves_the_one_behind_it_unsent(make_message):
    relay = Relay({FIRST: {".": b"421 4.3.2 closing\r\n"}}, holds={(".", FIRST)})
    async with channel_to(relay) as email:
        sending = asyncio.create_task(outcomes_of(email, make_message, (1, 2)))
        await relay.heard("DATA", 2).wait()
        relay.talks[0].go_on()
        outcomes = await sending
        assert [(outcomes[n].state, outcomes[n].code) for n in (1, 2)] == [
            ("retry_wait", "421 4.3.2"),
            ("retry_wait", "connection"),
        ]
        assert email.pool.ready(email.pool.rests_until - 0.01) == 0, "the channel rests"


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        pytest.param(b"354 go\r\n550 stop\r\n", ("unknown", "early"), id="refuses in the same breath"),
        pytest.param(b"250 sure\r\n", ("retry_wait", "250"), id="takes DATA for an ordinary command"),
        pytest.param(b"what\r\n", ("retry_wait", "connection"), id="talks nonsense"),
        pytest.param(b"354-go\r\n250 on\r\n", ("retry_wait", "connection"), id="contradicts itself"),
        pytest.param(b"354 " + b"x" * 9000 + b"\r\n", ("retry_wait", "connection"), id="never stops talking"),
    ],
)
async def test_relay_out_of_step_gets_no_body(make_message, reply, expected):
    relay = Relay({FIRST: {"DATA": reply}})
    outcomes = await handed_over(relay, make_message, (1,))
    assert (outcomes[1].state, outcomes[1].code) == expected
    assert relay.talks[0].stream.endswith(b"DATA\r\n")


async def test_mail_wanted_from_a_refused_sender_for_a_known_recipient_is_never_ended(make_message):
    relay = Relay(script={"": {"MAIL": b"550 5.1.8 not from you\r\n"}})
    outcomes = await handed_over(relay, make_message, (1,))
    assert outcomes[1].rest_channel is True
    assert relay.talks[0].stream.endswith(b"DATA\r\n"), "a dot would have delivered an empty mail"


@pytest.mark.parametrize(
    ("answers", "asked", "expected"),
    [
        pytest.param([False], 1, ("retry_wait", "not_sent"), id="before the first byte"),
        pytest.param([True, False], 2, ("retry_wait", "not_sent"), id="before the body"),
        pytest.param([True, True], 2, ("accepted", ""), id="at last"),
    ],
)
async def test_gate_is_asked_again_when_its_word_is_old(make_message, monkeypatch, answers, asked, expected):
    monkeypatch.setattr("channels.smtp.FRESH", -1.0)
    calls = []

    async def gate(message):
        calls.append(message.id)
        return answers[len(calls) - 1]

    relay = Relay()
    outcomes = await handed_over(relay, make_message, (1,), gate=gate)
    assert (outcomes[1].state, outcomes[1].code) == expected
    assert len(calls) == asked
    assert relay.taken == ([FIRST] if expected[0] == "accepted" else [])
