"""What becomes of a text when the shop's budget for texts is spent."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rules.facts import Budget, Cart, Consent, Facts, Person, Send, Stop, Taken, Wait
from rules.ladder import decide
from rules.policy import Policy
from rules.reader import read_policy
from rules.situation import Situation, read_situation

LEFT = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)  # a Monday, 10:00 in Berlin
MIDNIGHT = datetime(2026, 5, 4, 22, 0, tzinfo=UTC)
SPENT, LEFT_OVER = Budget(True, "20 EUR a day", MIDNIGHT), Budget(False, "3 EUR of 20 EUR a day are left", MIDNIGHT)
YES = Consent("confirmed", 812, LEFT - timedelta(days=90))
ADA = Person(
    {"email": "ada@example.org", "phone": "+4915112345678", "push": "https://push.example/1"},
    consents=dict.fromkeys(("email_mkt", "sms_mkt", "push_mkt"), YES),
    zone="Europe/Berlin",
)


def policy(**nudge: object) -> Policy:
    """A text in the afternoon, and a web push where the text did not go out."""
    steps = [
        {"name": "nudge", "send": "sms", "after": "2h", **nudge},
        {"name": "glance", "send": "webpush", "after": "4h", "unless": {"nudge": ["sent"]}},
        {"name": "doubts", "send": "email", "after": "30h"},
    ]
    return Policy.model_validate({"name": "main", "legal": "de", "steps": steps})


def told(policy: Policy, hour: float, budget: Budget | None, *taken: Taken) -> tuple[str, str]:
    facts = Facts(Cart(LEFT, Decimal(50), "EUR"), ADA, LEFT + timedelta(hours=1), taken=taken, budget=budget)
    verdict = decide(policy, facts, LEFT + timedelta(hours=hour))
    match verdict:
        case Send():
            return f"send {verdict.step}", verdict.because
        case Wait():
            return f"wait {(verdict.until - LEFT) / timedelta(hours=1):g} {verdict.reason}", verdict.because
        case Stop():
            return f"stop {verdict.reason}", verdict.because


@pytest.mark.parametrize(
    ("nudge", "budget", "expected", "because"),
    [
        pytest.param({}, None, "send nudge", "nudge is due 2 h after the last change", id="there is no budget"),
        pytest.param({}, LEFT_OVER, "send nudge", "nudge is due 2 h after the last change", id="some of it is left"),
        pytest.param({}, SPENT, "wait 4 not_due", ", and its time is over before", id="over before midnight: left out"),
        pytest.param(
            {"over_budget": "leave_out"}, SPENT, "wait 4 not_due", "20 EUR a day; glance is due", id="at once"
        ),
    ],
)
def test_a_text_waits_for_the_next_budget_or_is_left_out(nudge, budget, expected, because):
    verdict = told(policy(**nudge), 2, budget)
    assert verdict[0] == expected
    assert because in verdict[1]
    left_out = "nudge is left out: the budget for texts is used up: 20 EUR a day"
    assert verdict[1].startswith(left_out) == (budget is SPENT)


def test_the_last_step_waits_for_midnight_and_then_for_the_morning():
    last = Policy.model_validate(
        {"name": "p", "legal": "de", "steps": [{"name": "nudge", "send": "sms", "after": "2h"}]}
    )
    assert told(last, 2, SPENT) == ("wait 14 budget", "nudge waits: the budget for texts is used up: 20 EUR a day")
    assert told(last, 14, SPENT)[0] == "wait 23 hours", "it has begun anew, and by night nobody is texted"
    assert told(last, 23, LEFT_OVER)[0] == "send nudge"


def test_mails_have_no_budget():
    gone = Taken("glance", "webpush", "accepted", LEFT + timedelta(hours=4))
    assert told(policy(), 30, SPENT, gone)[0] == "send doubts"


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param("accepted", "wait 30 not_due", id="taken"),
        pytest.param("delivered", "wait 30 not_due", id="arrived"),
        pytest.param("unknown", "wait 30 not_due", id="it may have gone out"),
        pytest.param("withheld", "wait 30 not_due", id="held back for the comparison"),
        pytest.param("cancelled", "send glance", id="kept in the house by the gate"),
        pytest.param("failed", "send glance", id="refused"),
        pytest.param("expired", "send glance", id="its time went by"),
    ],
)
def test_another_step_takes_the_place_of_what_did_not_go_out(state, expected):
    text = Taken("nudge", "sms", state, LEFT + timedelta(hours=2))
    assert told(policy(over_budget="leave_out"), 4, SPENT, text)[0] == expected


def test_nothing_at_all_was_sent_where_the_step_was_left_out():
    assert told(policy(over_budget="leave_out"), 4, SPENT)[0] == "send glance"


def test_a_spent_budget_can_be_tried():
    text = """
cart: {changed_at: 2026-05-04T10:00:00+02:00, total: 50, currency: EUR}
person:
  phone: "+4915112345678"
  push: true
  zone: Europe/Berlin
  consents: {sms_mkt: {state: confirmed, at: 2026-01-01T10:00:00+01:00}}
budget_spent_until: 2026-05-05T00:00:00+02:00
"""
    situation = read_situation(text, "cart.yaml")
    assert isinstance(situation, Situation), situation
    verdict = decide(policy(over_budget="leave_out"), situation.told(policy()), LEFT + timedelta(hours=2))
    assert "nudge is left out: the budget for texts is used up" in verdict.because


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            "{name: remind, send: email, after: 1h, over_budget: leave_out}",
            "`over_budget` goes with `send: sms` only: nothing else has a budget",
        ),
        (
            "{name: nudge, send: sms, after: 1h, over_budget: leav_out}",
            '"leav_out" is not known here; did you mean "leave_out"?',
        ),
        ("{name: a, send: sms, after: 1h, overbudget: wait}", 'unknown word "overbudget"; did you mean "over_budget"?'),
        (
            "{name: nudge, send: sms, after: 2h, unless: {remind: [send]}}",
            '"send" is not known here; did you mean "sent"?',
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_hint(step, said):
    reading = read_policy(f"legal: de\nsteps:\n  - {step}\n", "main.yaml", "main")
    assert [mistake.text for mistake in reading.mistakes] == [said]
