"""The law at work: the ladder, the gate and `check`, with a channel of texts as it will join."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rules import caps
from rules.facts import Bought, Cart, Consent, Counted, Facts, Go, Person, Planned, Send, Stop, Taken, Wait
from rules.gate import passage
from rules.ladder import SKIPS, decide
from rules.policy import Policy
from rules.reader import read_policy
from rules.shops import shops_from
from rules.source import read

LEFT = datetime(2026, 5, 5, 12, tzinfo=UTC)  # a Tuesday: 8:00 in New York, 14:00 in Berlin
NEW_YORKER = Person(
    {"email": "ada@example.org", "phone": "+12125551234"},
    consents={
        "email_mkt": Consent("confirmed", 1, LEFT - timedelta(days=90)),
        "sms_mkt": Consent("confirmed", 2, LEFT - timedelta(days=90)),
    },
    zone="America/New_York",
)


def policy(legal="us", texts=("nudge",), **after):
    """A mail after an hour, then texts; rule files cannot name the channel yet, the engine can."""
    spans = {"remind": "1h", **{name: after.get(name.replace("-", "_"), "7h") for name in texts}}
    words = {"name": "main", "legal": legal, "starts": {"rests_for": "30m"}}
    read = Policy.model_validate(
        {**words, "steps": [{"name": name, "send": "email", "after": span} for name, span in spans.items()]}
    )
    return read.altered(
        steps=tuple(step.model_copy(update={"send": "sms"}) if step.name in texts else step for step in read.steps)
    )


def facts(person=None, taken=(), counted=(), **known):
    who = replace(NEW_YORKER, **(person or {}))
    return Facts(Cart(LEFT, Decimal(50), "USD"), who, LEFT, taken=tuple(taken), counted=tuple(counted), **known)


def hours(count):
    return LEFT + timedelta(hours=count)


REMINDED = Taken("remind", "email", "delivered", hours(1))


def told(verdict):
    match verdict:
        case Send():
            return f"send {verdict.step}"
        case Wait():
            return f"wait {(verdict.until - LEFT) / timedelta(hours=1):g} {verdict.reason}"
        case Stop():
            return f"stop {verdict.reason}"


@pytest.mark.parametrize(
    ("legal", "after", "known", "expected"),
    [
        pytest.param("us", 7, {}, "send nudge", id="15:00 in New York: the text goes out"),
        pytest.param("us", 12, {}, "wait 25 hours", id="20:00 in New York: it waits for nine"),
        pytest.param("us", 7, {"person": {"zone": ""}}, "send nudge", id="the number's zone will do"),
        pytest.param(
            "us", 7, {"person": {"consents": {}}}, "wait 175 watching", id="no consent to texts: it is left out"
        ),
        pytest.param(
            "de",
            7,
            {"person": {"consents": {}, "last_bought": Bought("9", LEFT)}, "notice_since": LEFT},
            "wait 175 watching",
            id="Germany: a customer without consent gets no text",
        ),
        pytest.param(
            "uk",
            7,
            {"person": {"consents": {}, "last_bought": Bought("9", LEFT)}, "notice_since": LEFT},
            "send nudge",
            id="United Kingdom: a customer may get one",
        ),
        pytest.param(
            "uk",
            7,
            {"counted": [Counted("sms", hours(-6))]},
            "wait 18 cap",
            id="a text this morning: the next after a day",
        ),
        pytest.param("uk", 7, {"counted": [Counted("email", hours(6))]}, "send nudge", id="mails do not count"),
        pytest.param(
            "us", 7, {"person": {"suppressed": frozenset({"sms"})}}, "wait 175 watching", id="STOP: no text any more"
        ),
        pytest.param(
            "us", 7, {"person": {"addresses": {"email": "a@b.test"}}}, "wait 175 watching", id="no number: left out"
        ),
    ],
)
def test_the_ladder_keeps_the_law_of_texts(legal, after, known, expected):
    known.setdefault("taken", [REMINDED])
    assert told(decide(policy(legal), facts(**known), hours(after))) == expected


def test_why_names_the_rule():
    verdict = decide(policy(), facts(taken=[REMINDED]), hours(12))
    assert verdict.because == (
        'nudge waits: it is 20:00 on Tuesday in America/New_York, and by profile "us": Texts go out from 9:00 to '
        "20:00, on Sundays not before 12:00, on public holidays neither. (tillbell's own caution, "
        "not a law; noted 2026-11)"
    )
    island = facts({"region": "US-RI"}, taken=[REMINDED])
    assert 'by profile "us": In Rhode Island texts go out' in decide(policy(), island, hours(10.5)).because
    capped = decide(policy("uk"), facts(taken=[REMINDED], counted=[Counted("sms", hours(-6))]), hours(7))
    assert 'the cap of 1 on sms in 24 h is reached, which profile "uk" sets' in capped.because


def test_the_hours_of_the_policy_are_named_first():
    quiet = policy().altered(quiet=Policy.model_validate({**WORDS, "quiet": "19:00-7:00"}).quiet)
    verdict = decide(quiet, facts(taken=[REMINDED]), hours(12))
    assert "it is 20:00 on Tuesday in America/New_York, outside the hours of this policy" in verdict.because


WORDS = {"name": "p", "steps": [{"name": "a", "send": "email", "after": "1h"}]}


def test_one_text_for_each_cart_in_the_united_states():
    nudged = [REMINDED, Taken("nudge", "sms", "delivered", hours(7))]
    two = {"texts": ("nudge", "nudge-again"), "nudge_again": "32h"}
    verdict = decide(policy("us", **two), facts(taken=nudged), hours(32))
    assert told(verdict) == "wait 200 watching"
    assert 'nudge-again is left out: nudge went out by sms, and by profile "us": At most one text' in verdict.because
    assert told(decide(policy("uk", **two), facts(taken=nudged), hours(32))) == "send nudge-again"
    failed = [REMINDED, Taken("nudge", "sms", "failed", hours(7))]
    assert told(decide(policy("us", **two), facts(taken=failed), hours(32))) == "send nudge-again"


def test_in_the_united_states_no_text_follows_a_cart_after_two_days():
    late = policy("us", nudge="50h")
    assert told(decide(late, facts(taken=[REMINDED]), hours(51))) == "wait 218 watching"
    assert told(decide(policy("uk", nudge="50h"), facts(taken=[REMINDED]), hours(51))) == "send nudge"
    sent = decide(policy("us"), facts(taken=[REMINDED]), hours(7))
    assert sent.not_after <= hours(48)


def test_every_reason_that_the_law_gives_is_a_known_one():
    two = policy("us", texts=("nudge", "nudge-again"), nudge_again="32h")
    nudged = facts(taken=[REMINDED, Taken("nudge", "sms", "delivered", hours(7))])
    left_out = {question.about for question in decide(two, nudged, hours(32)).questions if not question.passed}
    assert left_out <= {*SKIPS, "watching"}


def test_a_ladder_of_mails_asks_nothing_new():
    mails = Policy.model_validate({"name": "main", "legal": "us", "steps": WORDS["steps"]})
    asked = [question.asked for question in decide(mails, facts(), hours(1)).questions]
    assert "does the law leave room after this cart?" not in asked


@pytest.mark.parametrize(
    ("legal", "after", "known", "expected"),
    [
        pytest.param("us", 7, {}, "go", id="everything in order"),
        pytest.param("us", 12, {}, "defer hours", id="it has become evening"),
        pytest.param("uk", 7, {"counted": [Counted("sms", hours(3))]}, "defer cap", id="another text came first"),
        pytest.param(
            "us", 7, {"taken": [Taken("early", "sms", "sending", hours(3))]}, "cancel cap", id="another for this cart"
        ),
        pytest.param(
            "us", 7, {"taken": [Taken("nudge", "sms", "sending", hours(7))]}, "go", id="itself does not count"
        ),
        pytest.param("us", 7, {"person": {"consents": {}}}, "cancel no_basis", id="consent was withdrawn"),
        pytest.param("us", 49, {}, "cancel expired", id="two days are over"),
    ],
)
def test_the_gate_asks_once_more(legal, after, known, expected):
    step = policy(legal)
    sent = decide(step, facts(taken=[REMINDED]), hours(7))
    planned = Planned("nudge", "sms", min(sent.not_after, hours(48)), sent.basis)
    answer = passage(step, planned, facts(**known), hours(after))
    assert " ".join([type(answer).__name__.lower(), getattr(answer, "reason", "")]).strip() == expected
    assert not isinstance(answer, Go) or answer.basis.evidence.startswith("consent 2")


def test_messages_are_known_as_far_back_as_the_law_counts():
    assert caps.reach(policy("us")) >= timedelta(hours=24)
    assert caps.reach(Policy.model_validate(WORDS)) == caps.FEWER.per


UNKNOWN = "is not a country profile{}; profiles are de, at, ch, fr, it, uk, us, none"


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        pytest.param("es", "", id="a country that nobody has written down"),
        pytest.param("usa", '; did you mean "us"?', id="a slip"),
        pytest.param("DE", "", id="capitals"),
        pytest.param("[de, at]", "", id="two at once"),
    ],
)
def test_an_unknown_profile_is_refused_with_those_there_are(word, hint):
    found = read_policy(f"extends: default\nlegal: {word}\n", "main.yaml", "main").mistakes
    assert len(found) == 1
    assert UNKNOWN.format(hint) in str(found[0])
    shops = shops_from(read(f"shops: {{main: {{connector: push, url: https://s.example, legal: {word}}}}}\n", "s.yaml"))
    assert UNKNOWN.format(hint) in str(shops.mistakes[0])


@pytest.mark.parametrize("legal", ["de", "at", "ch", "fr", "it", "uk", "us", "none"])
def test_every_profile_can_be_named(legal):
    reading = read_policy(f"extends: default\nlegal: {legal}\n", "main.yaml", "main")
    assert reading.policy is not None
    assert Policy.from_json(reading.policy.to_json()).legal == legal
