"""What the gate says right before a message leaves."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rules.facts import Bought, Cancel, Cart, Consent, Counted, Facts, Go, Person, Planned, Send, Taken
from rules.gate import passage
from rules.ladder import decide
from rules.policy import Policy

LEFT = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
NOW = LEFT + timedelta(hours=1)
CONFIRMED = Consent("confirmed", 812, LEFT - timedelta(days=90))
POLICY = Policy.model_validate(
    {
        "name": "main",
        "legal": "de",
        "starts": {"rests_for": "45m", "never": {"groups": ["staff"]}},
        "caps": {"any": "4 per 7d", "same_channel_gap": "12h"},
        "quiet": "22:00-07:00",
        "steps": [
            {"name": "remind", "send": "email", "after": "1h"},
            {"name": "doubts", "send": "email", "after": "24h"},
        ],
    }
)
FACTS = Facts(
    cart=Cart(LEFT, Decimal(50), "EUR"),
    person=Person({"email": "ada@example.org"}, consents={"email_mkt": CONFIRMED}, zone="Europe/Berlin"),
    started_at=LEFT + timedelta(minutes=45),
    notice_since=LEFT - timedelta(days=300),
)
VERDICT = decide(POLICY, FACTS, NOW)
assert isinstance(VERDICT, Send)
PLANNED = Planned(VERDICT.step, VERDICT.channel, VERDICT.not_after, VERDICT.basis)


def told(answer):
    words = [type(answer).__name__.lower(), getattr(answer, "reason", ""), getattr(answer, "state", "")]
    return " ".join(word for word in words if word and word != "cancelled")


def person(**words):
    return {"person": replace(FACTS.person, **words)}


def at(hour):
    return LEFT + timedelta(hours=hour)


@pytest.mark.parametrize(
    ("now", "known", "planned", "expected"),
    [
        pytest.param(NOW, {}, {}, "go", id="nothing has changed"),
        pytest.param(NOW, {"ended_by": "purchase"}, {}, "cancel purchase", id="bought a moment ago"),
        pytest.param(NOW, {"ended_by": "emptied"}, {}, "cancel emptied", id="emptied a moment ago"),
        pytest.param(at(25), {}, {}, "cancel expired expired", id="its time is over"),
        pytest.param(NOW, person(resting_until=at(3)), {}, "defer resting", id="asked for a pause"),
        pytest.param(NOW, person(resting_until=NOW), {}, "go", id="the pause is over"),
        pytest.param(
            NOW,
            {**person(fewer=True), "counted": (Counted("sms", at(-100)),)},
            {"not_after": at(100)},
            "defer cap",
            id="asked for fewer, and had one this week",
        ),
        pytest.param(at(25), {"ended_by": "purchase"}, {}, "cancel purchase", id="bought, and too late: bought"),
        pytest.param(NOW, {}, {"step": "nudge"}, "cancel rule_removed", id="the step was taken out of the rules"),
        pytest.param(NOW, person(group="staff"), {}, "cancel not_allowed", id="the person is staff now"),
        pytest.param(
            NOW, person(suppressed=frozenset({"email"})), {}, "cancel suppressed", id="unsubscribed elsewhere"
        ),
        pytest.param(NOW, person(addresses={}), {}, "cancel no_address", id="the address is gone"),
        pytest.param(NOW, person(consents={}), {}, "cancel no_basis", id="the consent is gone"),
        pytest.param(NOW, {"on_hold": True}, {}, "defer on_hold", id="an order came whose payment is open"),
        pytest.param(NOW, {"cart": replace(FACTS.cart, state="emptied")}, {}, "defer cart_closed", id="nothing in it"),
        pytest.param(NOW, person(active_at=NOW - timedelta(minutes=5)), {}, "defer active", id="back in the shop"),
        pytest.param(at(13), {}, {}, "defer hours", id="it became night"),
        pytest.param(NOW, {"counted": (Counted("email", at(0)),)}, {}, "defer cap", id="another mail was quicker"),
        pytest.param(NOW, {}, {"deferrals": 20}, "go", id="put off often, and now it can"),
    ],
)
def test_passage(now, known, planned, expected):
    assert told(passage(POLICY, replace(PLANNED, **planned), replace(FACTS, **known), now)) == expected


@pytest.mark.parametrize(
    ("now", "known", "planned", "expected"),
    [
        pytest.param(
            at(13),
            {},
            {"not_after": at(20)},
            "its time is over before this changes: it is 23:00 on Monday in Europe/Berlin, outside the hours of this "
            "policy",
            id="the night is longer than its time",
        ),
        pytest.param(
            NOW,
            person(resting_until=at(90)),
            {},
            "its time is over before this changes: the person asked to be left alone until 2026-05-08 02:00 UTC",
            id="a pause that is longer than its time",
        ),
        pytest.param(
            NOW,
            {"counted": (Counted("email", at(0)),)},
            {"deferrals": 20},
            "put off 20 times, at last because the last email was less than 12 h ago",
            id="put off for the cap too often",
        ),
        pytest.param(
            NOW,
            {"on_hold": True},
            {"deferrals": 20},
            "put off 20 times, at last because an order is there whose payment is still open",
            id="a payment that stays open",
        ),
    ],
)
def test_what_expires_says_what_held_it(now, known, planned, expected):
    answer = passage(POLICY, replace(PLANNED, **planned), replace(FACTS, **known), now)
    assert answer == Cancel(expected, "expired")


def test_a_message_whose_rule_file_is_gone_does_not_leave():
    assert told(passage(None, PLANNED, FACTS, NOW)) == "cancel rule_removed"


def test_the_basis_is_that_of_the_moment():
    """The consent went, but the person bought before: another ground carries the message."""
    customer = person(consents={}, last_bought=Bought("4711", LEFT - timedelta(days=9)))
    answer = passage(POLICY, PLANNED, replace(FACTS, **customer), NOW)
    assert isinstance(answer, Go)
    assert (PLANNED.basis.kind, answer.basis.kind) == ("consent", "existing_customer")


def test_a_deferral_ends_after_the_night():
    assert passage(POLICY, PLANNED, FACTS, at(13)).until == at(21)


def test_a_cart_that_changed_meanwhile_has_its_steps_counted_anew():
    """The second mail was due a day after the cart was left; then it was filled again, and rests since."""
    doubts = decide(POLICY, replace(FACTS, taken=(Taken("remind", "email", "accepted", NOW),)), at(24))
    assert isinstance(doubts, Send)
    planned = Planned(doubts.step, doubts.channel, doubts.not_after, doubts.basis)
    changed = replace(FACTS, cart=replace(FACTS.cart, changed_at=at(23)))
    answer = passage(POLICY, planned, changed, at(24))
    assert told(answer) == "defer not_due"
    assert (answer.until, answer.not_after) == (at(47), at(71))
    again = replace(planned, not_after=answer.not_after, deferrals=1)
    assert told(passage(POLICY, again, changed, at(47))) == "go"


def test_what_the_ladder_sends_the_gate_lets_go():
    assert isinstance(passage(POLICY, PLANNED, FACTS, NOW), Go)


@pytest.mark.parametrize(
    ("words", "reactions", "expected"),
    [
        pytest.param({"unless": {"remind": ["opened"]}}, set(), "go", id="nobody opened the first"),
        pytest.param({"unless": {"remind": ["opened"]}}, {"opened"}, "cancel unless", id="opened in the night"),
        pytest.param({"only_if": {"remind": ["opened"]}}, {"opened"}, "go", id="opened, as the step wants"),
        pytest.param(
            {"only_if": {"remind": ["opened"]}}, set(), "cancel only_if", id="taken for a person's, and it was none"
        ),
        pytest.param(
            {"only_if": {"cart": {"total_at_least": "80 EUR"}}}, set(), "cancel only_if", id="the cart shrank"
        ),
    ],
)
def test_what_a_step_waits_for_is_asked_again(words, reactions, expected):
    """Put off at 22:00, asked again at 9:00: what came about in between counts."""
    policy = Policy.model_validate(
        {
            "name": "main",
            "legal": "de",
            "starts": {"rests_for": "45m"},
            "steps": [
                {"name": "remind", "send": "email", "after": "1h"},
                {"name": "doubts", "send": "email", "after": "13h", **words},
            ],
        }
    )
    first = Taken("remind", "email", "accepted", NOW, frozenset(reactions))
    deferred = Planned("doubts", "email", at(40), PLANNED.basis, deferrals=1)
    known = replace(FACTS, taken=(first,))
    assert told(passage(policy, deferred, known, at(24))) == expected
