"""What an unopened mail means: nobody opened it, a machine did, or nobody can say."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rules.facts import Cart, Consent, Defer, Facts, Go, Person, Planned, Send, Stop, Taken, Wait
from rules.gate import passage
from rules.ladder import decide
from rules.policy import Policy

LEFT = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)  # a Monday
SENT = LEFT + timedelta(hours=1)
CONFIRMED = Consent("confirmed", 812, LEFT - timedelta(days=90))
FOLLOWED = {"email_mkt": CONFIRMED, "track_open": CONFIRMED, "track_click": CONFIRMED}
NOT_FOLLOWED = {"email_mkt": CONFIRMED, "track_click": CONFIRMED}
LADDER = {
    "name": "main",
    "legal": "de",
    "starts": {"rests_for": "45m"},
    "steps": [
        {"name": "remind", "send": "email", "after": "1h"},
        {"name": "again", "send": "email", "after": "25h", "unless": {"remind": ["opened", "clicked"]}},
    ],
}
"""A day between the two; so a machine's open makes the second wait until the fourth day."""


def policy(**words):
    return Policy.model_validate({**LADDER, **words})


def at(hour):
    return LEFT + timedelta(hours=hour)


def remind(*human, maybe=(), state="accepted"):
    return Taken("remind", "email", state, SENT, frozenset(human), frozenset(maybe))


def facts(first, consents=FOLLOWED, seen=None):
    person = Person({"email": "ada@example.org"}, consents=consents, zone="UTC", active_at=seen)
    return Facts(Cart(LEFT, Decimal(50), "EUR"), person, at(0.75), (first,))


def told(verdict):
    match verdict:
        case Send():
            return f"send {verdict.step}"
        case Wait():
            return f"wait {(verdict.until - LEFT) / timedelta(hours=1):g} {verdict.reason}"
        case Stop():
            return f"stop {verdict.reason}"


def why(verdict):
    return [one.answer for one in verdict.questions if one.about in ("unless", "opens")]


APPLE = remind(maybe=["opened"])


@pytest.mark.parametrize(
    ("hour", "known", "expected"),
    [
        pytest.param(25, facts(remind("opened")), "wait 193 watching", id="opened by a human: left out"),
        pytest.param(25, facts(remind("clicked")), "wait 193 watching", id="clicked by a human: left out"),
        pytest.param(25, facts(remind()), "send again", id="nobody opened it: goes"),
        pytest.param(25, facts(APPLE), "wait 73 opens", id="only Apple's proxy opened it: waits two days more"),
        pytest.param(72, facts(APPLE), "wait 73 opens", id="still waits"),
        pytest.param(73, facts(APPLE), "send again", id="and nobody clicked: goes"),
        pytest.param(
            60, facts(remind("clicked", maybe=["opened"])), "wait 193 watching", id="clicked while it waited: left out"
        ),
        pytest.param(
            60, facts(APPLE, seen=at(30)), "wait 198.75 watching", id="was in the shop while it waited: left out"
        ),
        pytest.param(97, facts(APPLE), "wait 193 watching", id="its time was over a day after the wait"),
        pytest.param(25, facts(remind(maybe=["clicked"])), "wait 73 opens", id="a scanner followed its links: waits"),
        pytest.param(25, facts(remind(state="unknown")), "wait 31 opens", id="not known whether it arrived: waits"),
        pytest.param(25, facts(remind(state="unknown_final")), "send again", id="never known, and no sign of life"),
        pytest.param(25, facts(remind(state="bounced")), "send again", id="it came back: goes at once"),
        pytest.param(25, facts(remind(state="failed")), "send again", id="it never left: goes"),
        pytest.param(25, facts(remind(), NOT_FOLLOWED), "send again", id="no pixel, not clicked: goes by clicks"),
        pytest.param(
            25,
            facts(remind(maybe=["opened", "clicked"]), NOT_FOLLOWED),
            "send again",
            id="opens are not followed any more: what came of a pixel counts for nothing",
        ),
        pytest.param(25, facts(remind("clicked"), NOT_FOLLOWED), "wait 193 watching", id="no pixel, clicked"),
    ],
)
def test_unless_it_was_opened(hour, known, expected):
    stops = {"stops_on": ["purchase"]}
    assert told(decide(policy(**stops), known, at(hour))) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [("wait_click", "wait 73 opens"), ("treat_unopened", "send again"), ("treat_opened", "wait 193 watching")],
)
def test_the_policy_says_what_a_machine_s_open_means(word, expected):
    verdict = decide(policy(on_unknown_open=word), facts(APPLE), at(25))
    assert told(verdict) == expected


@pytest.mark.parametrize(
    ("words", "known", "expected"),
    [
        ({}, facts(remind("opened")), ["remind was opened"]),
        ({}, facts(remind()), ["remind was not opened or clicked", "fine"]),
        (
            {},
            facts(APPLE),
            [
                "remind was opened by a machine, or by nobody known; a click or a visit to the shop would tell, and "
                "there was none",
                "machines at most opened what came before, so a click is waited for 48 h longer",
            ],
        ),
        (
            {"on_unknown_open": "treat_opened"},
            facts(APPLE),
            ["remind was opened by a machine, or by nobody known, which counts as opened (on_unknown_open)"],
        ),
        (
            {"on_unknown_open": "treat_unopened"},
            facts(APPLE),
            ["remind was opened by a machine, or by nobody known, which counts as unopened (on_unknown_open)", "fine"],
        ),
        (
            {},
            facts(remind(), NOT_FOLLOWED),
            ["opens of remind are not followed, so clicks decide: it was not clicked", "fine"],
        ),
        (
            {},
            facts(remind(state="unknown")),
            ["it is not known whether remind arrived", "it is not known yet whether remind arrived"],
        ),
    ],
)  # fmt: skip
def test_why_says_which_of_these_it_was(words, known, expected):
    assert why(decide(policy(**words), known, at(25))) == expected


def test_with_a_step_behind_it_the_one_that_waits_gives_way():
    """The last call is due before the wait for a click is over."""
    three = policy(steps=[*LADDER["steps"], {"name": "last-call", "send": "email", "after": "49h"}])
    verdict = decide(three, facts(APPLE), at(25))
    assert told(verdict) == "wait 49 not_due"
    assert verdict.because.startswith("again is left out: machines at most opened what came before")


def test_the_wait_counts_from_the_steps_own_distance():
    near = policy(steps=[LADDER["steps"][0], {**LADDER["steps"][1], "after": "5h"}])
    assert told(decide(near, facts(APPLE), at(5))) == "wait 13 opens"


def test_a_step_that_asks_only_for_clicks_does_not_wait():
    clicks = policy(steps=[LADDER["steps"][0], {**LADDER["steps"][1], "unless": {"remind": ["clicked"]}}])
    assert told(decide(clicks, facts(APPLE), at(25))) == "send again"
    assert told(decide(clicks, facts(remind(state="unknown")), at(25))) == "send again"


def planned(known):
    verdict = decide(policy(), known, at(25))
    assert isinstance(verdict, Send)
    return Planned(verdict.step, verdict.channel, verdict.not_after, verdict.basis)


def test_a_machine_that_opens_the_mail_in_the_night_puts_the_next_one_off_at_the_gate():
    message = planned(facts(remind()))
    answer = passage(policy(), message, facts(APPLE), at(30))
    assert answer == Defer(at(73), "opens", at(97))
    later = replace(message, not_after=answer.not_after, deferrals=1)
    assert isinstance(passage(policy(), later, facts(APPLE), at(73)), Go)


def test_a_message_that_waited_for_a_click_may_leave_at_once():
    message = planned_later = decide(policy(), facts(APPLE), at(73))
    assert isinstance(planned_later, Send)
    assert message.not_after == at(97)
    out = Planned(message.step, message.channel, message.not_after, message.basis)
    assert isinstance(passage(policy(), out, facts(APPLE), at(73)), Go)
