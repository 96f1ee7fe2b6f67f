"""A cart.json becomes the facts that the rules would be told."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rules.ladder import decide
from rules.policy import Policy
from rules.situation import Situation, instant, read_situation

POLICY = Policy.model_validate({"name": "p", "steps": [{"name": "remind", "send": "email", "after": "1h"}]})
LEAST = '{"cart": {"changed_at": "2026-05-04T10:00:00+02:00", "total": 19.90}, "person": {}%s}'


def read(more="") -> Situation:
    found = read_situation(LEAST % more, "cart.json")
    assert isinstance(found, Situation)
    return found


def test_the_least_that_is_a_cart():
    facts = read().told(POLICY)
    assert facts.cart.total == Decimal("19.9")
    assert facts.started_at == datetime(2026, 5, 4, 9, tzinfo=UTC), "once the cart had come to rest"
    assert (facts.person.addresses, facts.ended_by, facts.taken) == ({}, "", ())


def test_messages_that_left_count_for_the_caps():
    facts = read(
        ', "taken": [{"step": "remind", "at": "2026-05-04T11:00:00Z"},'
        ' {"step": "doubts", "state": "withheld", "at": "2026-05-05T11:00:00Z"}],'
        ' "counted": [{"at": "2026-05-06T11:00:00Z"}]'
    ).told(POLICY)
    assert [one.at.day for one in facts.counted] == [6, 4], "newest first; who is held out got nothing"


def test_every_channel_can_be_tried():
    text = """
    cart: {changed_at: "2026-05-04T10:00:00+02:00", total: 9}
    person:
      {email: a@example.org, phone: "+491701234567", push: true, onsite: true, region: US-TX, fewer: true,
       resting_until: "2026-05-06T10:00:00Z", suppressed: [sms, audience], consents: {
         sms_mkt: {state: confirmed, at: "2026-05-01T10:00:00Z"}, push_mkt: {state: hint, at: "2026-05-01T10:00:00Z"},
         ads_audience: {state: withdrawn, at: "2026-05-01T10:00:00Z"}}}
    taken: [{step: remind, channel: webpush, at: "2026-05-04T11:00:00Z"}]
    counted: [{channel: sms, at: "2026-05-01T11:00:00Z"}, {channel: onsite, at: "2026-05-02T11:00:00Z"}]
    """
    found = read_situation(text, "cart.yaml")
    assert isinstance(found, Situation), found
    facts = found.told(POLICY)
    assert set(facts.person.addresses) == {"email", "phone", "push", "onsite"}
    assert [one.channel for one in facts.counted] == ["webpush", "onsite", "sms"]
    assert {purpose: one.state for purpose, one in facts.person.consents.items()} == {
        "sms_mkt": "confirmed", "push_mkt": "hint", "ads_audience": "withdrawn",
    }  # fmt: skip
    assert (facts.person.fewer, facts.person.resting_until.day, facts.person.region) == (True, 6, "US-TX")
    assert facts.person.suppressed == {"sms", "audience"}


@pytest.mark.parametrize(
    ("came", "expected"),
    [
        pytest.param('"reactions": ["opened"]', "was opened", id="by a human: left out"),
        pytest.param('"maybe": ["opened"]', "a click is waited for 14 h longer", id="by Apple's proxy: waits"),
        pytest.param('"reactions": []', "again is due 8 h after the last change", id="by nobody: goes"),
    ],
)
def test_an_open_can_be_a_machine_s(came, expected):
    steps = [
        {"name": "remind", "send": "email", "after": "1h"},
        {"name": "again", "send": "email", "after": "8h", "unless": {"remind": ["opened", "clicked"]}},
    ]
    policy = Policy.model_validate({"name": "p", "legal": "us", "steps": steps})
    taken = f', "taken": [{{"step": "remind", "at": "2026-05-04T11:00:00+02:00", {came}}}]'
    text = (LEAST % taken).replace('"person": {}', '"person": {"email": "ada@example.org"}')
    situation = read_situation(text, "cart.json")
    assert isinstance(situation, Situation), situation
    verdict = decide(policy, situation.told(policy), instant("+8h", situation.cart.changed_at))
    assert expected in verdict.because


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+26h", "2026-05-05T12:00:00+02:00"),
        ("2026-05-05T12:00:00", "2026-05-05T12:00:00+02:00"),
        ("2026-05-05T12:00:00+00:00", "2026-05-05T12:00:00+00:00"),
    ],
)
def test_instant(text, expected):
    changed = datetime.fromisoformat("2026-05-04T10:00:00+02:00")
    assert instant(text, changed) == datetime.fromisoformat(expected)


def test_an_instant_that_is_none():
    with pytest.raises(ValueError, match="span"):
        instant("+soon", datetime(2026, 5, 4, tzinfo=UTC) + timedelta())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            LEAST % ', "persn": {}', 'cart.json:1:85 persn: unknown word "persn"; did you mean "person"?', id="slip"
        ),
        pytest.param(
            LEAST.replace("19.90", '"a lot"') % "", 'cart.json:1:63 cart.total: "a lot" is not a number', id="no number"
        ),
        pytest.param(
            "{", "cart.json:1:2: this is not YAML: expected the node content, but found '<stream end>'", id="cut"
        ),
    ],
)
def test_a_mistake_has_a_place(text, expected):
    found = read_situation(text, "cart.json")
    assert [str(mistake) for mistake in found] == [expected]
