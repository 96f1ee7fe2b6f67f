"""What a policy answers, told as a shop owner would."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rules.facts import Bought, Cart, Consent, Counted, Facts, Person, Send, Stop, Taken, Wait
from rules.ladder import REASONS, SKIPS, WAITS, decide
from rules.policy import Policy, with_newest

LEFT = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)  # a Monday, 10:00 in Berlin
CONFIRMED = Consent("confirmed", 812, LEFT - timedelta(days=90))
ADA = Person({"email": "ada@example.org"}, consents={"email_mkt": CONFIRMED}, zone="Europe/Berlin")
POLICY = Policy.model_validate(
    {
        "name": "main",
        "legal": "de",
        "starts": {"rests_for": "45m", "never": {"addresses": ["@marketplace.amazon.*"], "groups": ["staff"]}},
        "caps": {"any": "4 per 7d", "email": "2 per 24h", "same_channel_gap": "12h"},
        "quiet": "22:00-07:00",
        "steps": [
            {"name": "remind", "send": "email", "after": "1h"},
            {"name": "doubts", "send": "email", "after": "24h", "unless": {"remind": ["clicked"]}},
            {"name": "last-call", "send": "email", "after": "48h", "only_if": {"cart": {"total_at_least": "20 EUR"}}},
        ],
    }
)


def hours(count: float) -> datetime:
    return LEFT + timedelta(hours=count)


def taken(step, at=1.0, state="accepted", *reactions):
    return Taken(step, "email", state, hours(at), frozenset(reactions))


def counted(*at):
    return tuple(Counted("email", hours(hour)) for hour in sorted(at, reverse=True))


def facts(**known) -> Facts:
    cart = Cart(LEFT, Decimal(50), "EUR", **known.pop("cart", {}))
    person = replace(ADA, **known.pop("person", {}))
    return Facts(**{"cart": cart, "person": person, "started_at": hours(0.75), "shop_zone": "UTC", **known})


def told(verdict):
    match verdict:
        case Send():
            return f"send {verdict.step}"
        case Wait():
            return f"wait {(verdict.until - LEFT) / timedelta(hours=1):g} {verdict.reason}"
        case Stop():
            return f"stop {verdict.reason}"


BOUGHT_BEFORE = {"last_bought": Bought("4711", LEFT - timedelta(days=30)), "consents": {}}


@pytest.mark.parametrize(
    ("hour", "known", "expected"),
    [
        pytest.param(0.5, {}, "wait 0.75 active", id="the cart is still warm"),
        pytest.param(0.8, {}, "wait 1 not_due", id="too early"),
        pytest.param(1, {}, "send remind", id="first mail is due"),
        pytest.param(23, {}, "send remind", id="the first mail is late, and still before the second"),
        pytest.param(24, {}, "send doubts", id="after a long stop of the daemon only the step whose time it is goes"),
        pytest.param(2, {"taken": (taken("remind", 1, "planned"),)}, "wait 24 in_flight", id="one is on its way"),
        pytest.param(
            25,
            {"taken": (taken("remind", 1, "retry_wait"),)},
            "wait 49 in_flight",
            id="it should be gone: look in a day",
        ),
        pytest.param(
            720.5,
            {"person": {"active_at": hours(720.4)}},
            "wait 720.75 active",
            id="no wait goes beyond the latest end",
        ),
        pytest.param(2, {"taken": (taken("remind"),)}, "wait 24 not_due", id="first one sent, second not due"),
        pytest.param(24, {"taken": (taken("remind"),)}, "send doubts", id="unopened, so the second follows"),
        pytest.param(
            24, {"taken": (taken("remind", 1, "accepted", "opened"),)}, "send doubts", id="opened is not clicked"
        ),
        pytest.param(
            24, {"taken": (taken("remind", 1, "accepted", "clicked"),)}, "wait 48 not_due", id="clicked, so no second"
        ),
        pytest.param(48, {"taken": (taken("doubts", 24),)}, "send last-call", id="the last call"),
        pytest.param(
            48, {"taken": (taken("doubts", 24),), "cart": {"state": "emptied"}}, "wait 54 cart_closed", id="empty"
        ),
        pytest.param(49, {"taken": (taken("last-call", 48),)}, "wait 216 watching", id="a purchase still counts"),
        pytest.param(216, {"taken": (taken("last-call", 48),)}, "stop expired", id="a week after the last: let go"),
        pytest.param(72, {"taken": (taken("doubts", 24),)}, "wait 216 watching", id="the last call missed its day"),
        pytest.param(1, {"ended_by": "purchase"}, "stop purchase", id="bought in between"),
        pytest.param(1, {"ended_by": "emptied"}, "stop emptied", id="emptied in between"),
        pytest.param(1, {"ended_by": "replied"}, "stop replied", id="answered, so a human goes on"),
        pytest.param(1, {"ended_by": "bounced"}, "stop bounced", id="the address does not work"),
        pytest.param(1, {"ended_by": "complained"}, "stop complained", id="called it spam"),
        pytest.param(1, {"ended_by": "unsubscribed"}, "stop unsubscribed", id="does not want any"),
        pytest.param(1, {"on_hold": True}, "wait 7 on_hold", id="an order waits for its payment"),
        pytest.param(1, {"cart": {"stage": "frozen"}}, "wait 7 on_hold", id="the customer is paying right now"),
        pytest.param(2, {"person": {"active_at": hours(1.9)}}, "wait 2.65 active", id="back in the shop: leave alone"),
        pytest.param(
            2.65, {"person": {"active_at": hours(1.9)}}, "send remind", id="at rest again: the ladder goes on"
        ),
        pytest.param(14, {}, "wait 21 hours", id="midnight in Berlin: at seven"),
        pytest.param(38, {}, "wait 45 hours", id="second mail, midnight in Berlin: at seven"),
        pytest.param(14, {"person": {"zone": ""}}, "wait 23 hours", id="zone unknown: the shop's counts"),
        pytest.param(14, {"person": {"zone": "America/New_York"}}, "send remind", id="evening in New York"),
        pytest.param(1, {"counted": counted(-3)}, "wait 9 cap", id="another mail three hours ago: keep the gap"),
        pytest.param(
            1, {"counted": counted(-30, -40, -50, -60)}, "wait 24 not_due", id="four this week: its day goes by"
        ),
        pytest.param(
            1, {"counted": counted(-40, -50, -60, -166)}, "wait 2 cap", id="the fourth is a week old in an hour"
        ),
        pytest.param(1, {"person": {"addresses": {}}}, "wait 24 not_due", id="nobody knows an address"),
        pytest.param(
            1, {"person": {"suppressed": frozenset({"email"})}}, "wait 24 not_due", id="on the list of the unwilling"
        ),
        pytest.param(1, {"person": {"suppressed": frozenset({"any"})}}, "wait 24 not_due", id="unwilling everywhere"),
        pytest.param(1, {"person": {"consents": {}}}, "wait 24 not_due", id="no basis, no message"),
        pytest.param(1, {"person": BOUGHT_BEFORE}, "wait 24 not_due", id="bought before, but nobody told them"),
        pytest.param(
            1, {"person": BOUGHT_BEFORE, "notice_since": hours(-5000)}, "send remind", id="existing customer, and told"
        ),
        pytest.param(
            1, {"person": {"addresses": {"email": "x7@marketplace.amazon.de"}}}, "stop not_allowed", id="marketplace"
        ),
        pytest.param(1, {"person": {"group": "staff"}}, "stop not_allowed", id="our own people"),
        pytest.param(24 * 31, {}, "stop expired", id="far too late"),
        pytest.param(1, {"person": {"resting_until": hours(2)}}, "wait 2 resting", id="asked for a pause"),
        pytest.param(30, {"person": {"resting_until": hours(29)}}, "send doubts", id="after it the next step"),
        pytest.param(
            1, {"person": {"fewer": True}, "counted": counted(-30)}, "wait 24 not_due", id="asked for fewer: one a week"
        ),
        pytest.param(
            24 * 31, {"person": {"active_at": hours(24 * 31)}}, "stop expired", id="always active: it ends all the same"
        ),
        pytest.param(48, {"cart": {"total_is": 10}}, "wait 216 watching", id="a small cart gets no last call"),
    ],
)
def test_decide(hour, known, expected):
    small = known.get("cart", {}).get("total_is")
    case = facts(**{key: value for key, value in known.items() if not (key == "cart" and small)})
    if small:
        case = replace(case, cart=replace(case.cart, total=Decimal(small)))
    assert told(decide(POLICY, case, hours(hour))) == expected


def test_a_changed_cart_lets_the_ladder_go_on_and_not_start_over():
    changed = replace(facts(taken=(taken("remind"),)), cart=Cart(hours(20), Decimal(50), "EUR"))
    assert told(decide(POLICY, changed, hours(20.1))) == "wait 20.75 active"
    assert told(decide(POLICY, changed, hours(21))) == "wait 44 not_due"
    assert told(decide(POLICY, changed, hours(44))) == "wait 45 hours"
    assert told(decide(POLICY, changed, hours(45))) == "send doubts"


def test_a_step_left_out_before_one_that_is_done_never_comes_back():
    changed = replace(facts(taken=(taken("doubts", 24),)), cart=Cart(hours(30), Decimal(50), "EUR"))
    assert told(decide(POLICY, changed, hours(31))) == "wait 78 not_due"


def test_a_step_of_which_a_message_was_cancelled_is_done():
    assert told(decide(POLICY, facts(taken=(taken("remind", 1, "cancelled"),)), hours(2))) == "wait 24 not_due"


def test_the_time_of_a_step_ends_when_the_next_is_due_and_of_the_last_a_day_after():
    first = decide(POLICY, facts(), hours(1))
    last = decide(POLICY, facts(taken=(taken("doubts", 24),)), hours(48))
    assert (first.due_at, first.not_after) == (hours(1), hours(24))
    assert (last.due_at, last.not_after) == (hours(48), hours(72))


def test_a_last_step_that_falls_on_a_weekend_waits_for_monday():
    weekdays = Policy.model_validate(
        {
            "name": "office",
            "legal": "de",
            "on": {"days": ["mon", "tue", "wed", "thu", "fri"], "between": "9:00-18:00"},
            "steps": [{"name": "last-call", "send": "email", "after": "5d"}],
        }
    )
    saturday = hours(120)
    verdict = decide(weekdays, facts(), saturday)
    assert told(verdict) == "wait 167 hours"
    monday = verdict.until
    assert told(decide(weekdays, facts(), monday)) == "send last-call"


def test_only_existing_customers_when_the_policy_says_so():
    strict = Policy.model_validate({**POLICY.model_dump(mode="json"), "starts": {"existing_customers_only": True}})
    assert told(decide(strict, facts(), hours(1))) == "stop not_allowed"
    assert told(decide(strict, facts(person={"last_bought": BOUGHT_BEFORE["last_bought"]}), hours(1))) == "send remind"


def test_a_fact_that_the_policy_does_not_stop_on_goes_by_but_a_purchase_always_stops():
    lenient = Policy.model_validate({**POLICY.model_dump(mode="json"), "stops_on": []})
    assert told(decide(lenient, facts(ended_by="replied"), hours(1))) == "send remind"
    for fact in ("purchase", "unsubscribed", "complained"):
        assert told(decide(lenient, facts(ended_by=fact), hours(1))) == f"stop {fact}"


def test_without_a_law_the_strictest_is_kept():
    lawless = Policy.model_validate({**POLICY.model_dump(mode="json"), "legal": None})
    assert told(decide(lawless, facts(person={"consents": {}}), hours(1))) == "wait 24 not_due"


def test_the_questions_stand_in_the_order_they_were_asked():
    asked = decide(POLICY, facts(counted=counted(-3)), hours(1)).questions
    assert [question.about for question in asked] == [
        "ended", "expired", "not_allowed", "rule_removed", "on_hold", "cart_closed", "in_flight", "active",
        "resting", "not_due", "overtaken", "unless", "only_if", "reachable", "no_basis", "hours", "cap",
    ]  # fmt: skip
    assert [question.passed for question in asked] == [True] * 16 + [False]
    assert asked[14].answer.startswith("consent 812, confirmed 2026-02-03, by profile")


def test_because_is_written_for_the_shop_owner():
    assert decide(POLICY, facts(), hours(0.8)).because == "remind is due 1 h after the last change"
    waits = decide(POLICY, facts(counted=counted(-3)), hours(1))
    assert waits.because == "remind waits: the last email was less than 12 h ago"
    clicked = decide(POLICY, facts(taken=(taken("remind", 1, "accepted", "clicked"),)), hours(24))
    assert clicked.because == ("doubts is left out: remind was clicked; last-call is due 48 h after the last change")


def newest(**words) -> Policy:
    return Policy.model_validate({**POLICY.model_dump(mode="json"), **words})


def test_a_recovery_keeps_its_ladder_and_takes_the_newest_law_hours_and_caps():
    today = newest(
        quiet="20:00-09:00",
        caps={"email": "1 per 7d"},
        legal="none",
        steps=[
            {"name": "remind", "send": "email", "after": "3h"},
            {"name": "last-call", "send": "email", "after": "60h"},
        ],
    )
    blend = with_newest(POLICY, today)
    assert [(step.name, step.after) for step in blend.steps] == [(s.name, s.after) for s in POLICY.steps]
    assert (blend.quiet, blend.caps, blend.legal, blend.gone) == (today.quiet, today.caps, "none", ("doubts",))
    assert told(decide(blend, facts(), hours(25))) == "send remind"
    assert told(decide(blend, facts(taken=(taken("remind"),)), hours(25))) == "wait 48 not_due"


def test_a_recovery_whose_rules_are_gone_ends():
    assert told(decide(with_newest(POLICY, None), facts(), hours(1))) == "stop rule_removed"


def test_a_blend_has_a_hash_of_its_own():
    before = POLICY.hash
    blend = with_newest(POLICY, newest(quiet="20:00-09:00"))
    assert blend.hash != before == POLICY.hash


def test_every_word_of_a_verdict_is_listed():
    assert set(REASONS) >= {"expired", "not_allowed", "rule_removed"}
    assert len(set(WAITS)) == len(WAITS)
    assert len(set(SKIPS)) == len(SKIPS)
