"""Conditions: structured words, CEL for the long tail, and what is refused before it is ever asked."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from rules.conditions import faults, holds
from rules.facts import Bought, Cart, Line, Person, Taken
from rules.policy import Condition

NOW = datetime(2026, 5, 4, tzinfo=UTC)
CART = Cart(
    NOW,
    Decimal("49.90"),
    "EUR",
    (Line("L-17", "Lamp", Decimal(2), Decimal(20), "lamps"), Line("G-1", "Gift card", Decimal(1), None, "gift-card")),
    stage="checkout",
)
ADA = Person(group="vip", last_bought=Bought("4711", NOW), zone="Europe/Berlin")
TAKEN = (
    Taken("remind", "email", "accepted", NOW, frozenset({"opened"}), maybe=frozenset({"clicked"})),
    Taken("doubts", "email", "bounced", NOW),
)


def answer(written, every=True):
    return holds(Condition.model_validate(written), CART, ADA, TAKEN, every=every)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"remind": ["opened"]}, True),
        ({"remind": "opened"}, True),
        ({"remind": ["clicked"]}, False),
        ({"remind": ["opened", "clicked"]}, True),
        ({"doubts": ["bounced"]}, True),
        ({"never-taken": ["opened"]}, False),
        ({"cart": {"total_below": "50 EUR"}}, True),
        ({"cart": {"total_below": "49.90 EUR"}}, False),
        ({"cart": {"total_at_least": "49.90 EUR"}}, True),
        ({"cart": {"total_at_least": "1 CHF"}}, False),
        ({"cart": {"total_below": "999 CHF"}}, False),
        ({"cart": {"items_at_least": 3}}, True),
        ({"cart": {"items_below": 3}}, False),
        ({"cart": {"category": ["gift-card", "x"]}}, True),
        ({"cart": {"category": ["x"]}}, False),
        ({"cart": {"product": ["L-17"]}}, True),
        ({"cart": {"stage": ["payment"]}}, False),
        ({"cart": {"total_below": "50 EUR", "stage": ["payment"]}}, False),
        ({"person": {"group": ["vip"]}}, True),
        ({"person": {"existing_customer": False}}, False),
        ("cart.total < 50.0", True),
        ('cart.items.exists(i, i.category != "gift-card")', True),
        ('cart.items.all(i, i.category != "gift-card")', False),
        ("steps.remind.opened && !steps.remind.clicked", True),
        ('person.group == "vip" && person.existing_customer', True),
        ("cart.pieces > 2.0", True),
    ],
    ids=str,
)
def test_holds(written, expected):
    assert answer(written).holds is expected


def test_only_if_wants_every_entry_and_unless_is_content_with_one():
    both = {"remind": ["opened"], "cart": {"total_below": "10 EUR"}}
    assert not answer(both, every=True).holds
    assert answer(both, every=False).holds


def test_the_answer_says_why():
    assert answer({"remind": ["clicked"]}).because == "remind was not clicked"
    assert answer({"remind": ["opened"]}).because == "remind was opened"
    assert answer({"cart": {"total_at_least": "60 EUR"}}).because == "the cart is worth 49.90 EUR"
    assert answer({"person": {"group": ["staff"]}}).because == "the person is in the group vip"
    assert answer("cart.total > 60.0").because == "(cart.total > 60.0) is not true"


@pytest.mark.parametrize(
    ("expression", "because"),
    [
        ("cart.items[7].price > 1.0", "(cart.items[7].price > 1.0) could not be answered: index out of bounds: 7"),
        ("cart.total", "(cart.total) gives 49.9, not yes or no"),
        ("1 +", "(1 +) could not be answered: at sign 4: Syntax error"),
        ("cart.nothing == 1", "(cart.nothing == 1) could not be answered: 'nothing'"),
        ("cart.items.all(i, i.price > 1.0)", "(cart.items.all(i, i.price > 1.0)) could not be answered: "),
    ],
)
def test_what_cannot_be_answered_does_not_hold_and_says_so(expression, because):
    for every in (True, False):
        said = answer(expression, every)
        assert (said.holds, said.error) == (False, True)
        assert said.because.startswith(because)


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("kart.total > 1.0", 'unknown name "kart" in the expression; did you mean "cart"?'),
        ("cart.totl > 1.0", 'cart has no "totl"; did you mean "total"?'),
        ("person.groups == 'x'", 'person has no "groups"; did you mean "group"?'),
        ("steps.remnd.opened", 'steps has no "remnd"; did you mean "remind"?'),
        ("steps.remind.opend", 'nothing here has the word "opend"; did you mean "opened"?'),
        ("cart.items.exists(i, i.categry == 'x')", 'nothing here has the word "categry"; did you mean "category"?'),
        ("cart.total", "(cart.total) gives 9.9, not yes or no"),
        ("shout(cart.total)", "(shout(cart.total)) cannot be answered: Undefined variable or function: 'shout'"),
        ("cart.total >", "this is not CEL: at sign 13: Syntax error"),
        ("cart.total + 'x' == 'y'", "(cart.total + 'x' == 'y') cannot be answered: "),
        ("(" * 200 + "true" + ")" * 200, "this expression is too deeply nested"),
        ("cart.items.exists(i, j.price > 1.0)", 'unknown name "j" in the expression'),
    ],
)
def test_faults_are_found_before_it_is_asked(expression, fault):
    (found,) = faults(expression, ["remind"])
    assert found.startswith(fault)


@pytest.mark.parametrize(
    "expression",
    [
        'cart.items.exists(i, i.category != "gift-card")',
        "cart.items.filter(i, i.price > 10.0).size() > 1",
        '"cart.totl" != cart.currency',
        "steps.remind.state == 'accepted' || person.zone.startsWith('Europe/')",
        "size(cart.items) > 2 && cart.total >= 20",
    ],
)
def test_what_is_fine(expression):
    assert faults(expression, ["remind"]) == []
