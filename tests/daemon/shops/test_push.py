"""Pushed events: what is in them, and that their order of arrival changes nothing."""

import base64
import json
import random
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from daemon.shops.base import Capability, ConsentHint
from daemon.shops.push import KINDS, Push, PushConfig, parse

KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()
AT = datetime(2026, 3, 1, 12, 0, 0, 500000, tzinfo=UTC)
LINE = {"product_ref": "A-1", "name": "Boots", "quantity": 1, "unit_price": "20.00"}
CART = {"ref": "7", "currency": "EUR", "lines": [LINE], "customer": {"ref": 3, "email": "ada@example.org"}}
ORDER = {"ref": "9", "placed_at": "2026-03-01T12:00:00Z", "total": 20, "currency": "EUR", "cart_ref": 7}


def told(kind, data, timestamp="2026-03-01T12:00:00.5Z", **more):
    return parse(json.dumps({"type": kind, "timestamp": timestamp, "data": data, **more}).encode())


def test_a_cart():
    event = told("cart.updated", CART)
    assert (event.kind, event.at, event.cart.ref, event.order, event.customer) == ("cart.updated", AT, "7", None, None)
    assert (event.cart.source_updated_at, event.cart.time_precision) == (AT, "second")


def test_a_checkout_is_at_least_at_the_checkout():
    assert told("checkout.started", CART).cart.stage == "checkout"
    assert told("checkout.started", {**CART, "stage": "payment"}).cart.stage == "payment"


@pytest.mark.parametrize("standing", ["purchase", "pending", "on_hold", "failed", "cancelled"])
def test_an_order_stands_as_the_shop_says(standing):
    assert told("order.placed", {**ORDER, "standing": standing}).order.standing == standing
    assert told("order.cancelled", {**ORDER, "standing": standing}).order.standing == "cancelled"


def test_a_customer():
    event = told("customer.updated", {"email": "ada@example.org", "locale": "de_AT", "may_be_written_to": False})
    assert (event.customer.locale, event.customer.may_be_written_to) == ("de-AT", False)


def test_a_consent_without_a_time_is_as_old_as_its_event():
    withdrawn = {"purpose": "email_mkt", "state": "withdrawn"}
    event = told("consent.changed", {"ref": 3, "consents": [withdrawn]})
    assert event.customer.consents == (ConsentHint("email_mkt", "withdrawn", AT, "shop"),)


@pytest.mark.parametrize(
    ("kind", "data", "sentence"),
    [
        pytest.param("customer.updated", {"phone": "1"}, 'data: needs "ref" or "email"', id="nobody"),
        pytest.param("consent.changed", {"ref": 3}, "data.consents: field required", id="no consent"),
        pytest.param("consent.changed", {"ref": 3, "consents": []}, "data.consents: tuple should", id="none of them"),
        pytest.param(
            "consent.changed",
            {"ref": 3, "consents": [{"purpose": "email_mkt", "state": "confirmed"}]},
            'data.consents[0]: confirmed needs "evidence"',
            id="a confirmation without proof",
        ),
        pytest.param("order.placed", {**ORDER, "cart_ref": ""}, 'data: needs "customer_ref"', id="bought by nobody"),
        pytest.param("order.placed", CART, "data.placed_at: field required", id="a cart as order"),
        pytest.param("cart.updated", None, "data: field required", id="nothing"),
        pytest.param("cart.updated", [CART], "data: input should be", id="a list of carts"),
    ],
)
def test_what_is_refused_says_where(kind, data, sentence):
    with pytest.raises(ValueError, match=r"^data") as caught:
        told(kind, data)
    assert str(caught.value).startswith(sentence)


def test_no_refusal_repeats_what_is_personal():
    with pytest.raises(ValueError, match=r"^data") as caught:
        told("customer.updated", {"email": "ada@@example.org", "ref": "ada\x00"})
    assert "ada" not in str(caught.value)


def test_unknown_fields_change_nothing():
    plain = told("cart.updated", CART)
    assert told("cart.updated", {**CART, "colour": {"deep": [1]}}, id="evt", shop="x") == plain


EVENTS = [
    ("cart.updated", {**CART, "lines": []}, "2026-03-01T12:00:04Z"),
    ("cart.updated", CART, "2026-03-01T12:00:01.25Z"),
    ("checkout.started", {**CART, "total": 5}, "2026-03-01T13:00:02+01:00"),
    ("cart.updated", {**CART, "lines": [LINE, {**LINE, "product_ref": "B"}]}, "2026-03-01T12:00:03Z"),
    ("order.placed", {**ORDER, "unknown": 1}, "2026-03-01T12:00:03.5Z"),
    ("order.cancelled", ORDER, "2026-03-01T12:00:05Z"),
    ("customer.updated", {"ref": 3, "email": "new@example.org"}, "2026-03-01T12:00:06Z"),
    (
        "consent.changed",
        {"ref": 3, "consents": [{"purpose": "email_mkt", "state": "withdrawn"}]},
        "2026-03-01T12:00:07Z",
    ),
]


def test_five_hundred_orders_of_arrival_end_alike():
    """The newest by `timestamp` of each cart, order and customer decides; every event carries the whole of it."""
    deliveries = EVENTS * 2 + EVENTS[:3]
    dice, ends = random.Random(7), set()
    for _ in range(500):
        dice.shuffle(deliveries)
        newest = {}
        for kind, data, at in deliveries:
            event = told(kind, data, at)
            subject = next(one for one in (event.cart, event.order, event.customer) if one is not None)
            key = (type(subject), subject.ref)
            newest[key] = max(newest.get(key, (event.at, subject)), (event.at, subject), key=lambda pair: pair[0])
        ends.add(repr(sorted((key[0].__name__, value) for key, value in newest.items())))
    assert len(ends) == 1
    assert "lines=()" in ends.pop()


def test_the_same_bytes_are_the_same_event():
    for kind, data, at in EVENTS:
        assert told(kind, data, at) == told(kind, data, at)


def test_what_events_can_carry():
    can = Push(PushConfig.model_validate({"secrets": KEY, "without": ["phone", "recovery_url"]})).capabilities()
    assert Capability.CART_EVENTS in can
    assert not can & {Capability.PHONE, Capability.RECOVERY_URL, Capability.PRODUCTS, Capability.CARTS_SNAPSHOT}


@pytest.mark.parametrize(
    "secrets",
    [
        pytest.param([], id="none"),
        pytest.param(KEY.removeprefix("whsec_"), id="without its prefix"),
        pytest.param("whsec_", id="nothing behind the prefix"),
        pytest.param("whsec_" + base64.b64encode(b"k" * 23).decode(), id="too short"),
        pytest.param("whsec_" + base64.b64encode(b"k" * 65).decode(), id="too long"),
        pytest.param("whsec_" + "ä" * 40, id="no base64"),
        pytest.param([KEY, "secret"], id="one good, one not"),
    ],
)
def test_a_key_that_is_none_is_refused(secrets):
    with pytest.raises(ValidationError):
        PushConfig.model_validate({"secrets": secrets})


def test_a_key_never_prints():
    assert base64.b64encode(b"k" * 32).decode() not in repr(PushConfig.model_validate({"secrets": KEY}))


def test_money_keeps_its_value():
    body = b'{"type": "order.placed", "timestamp": "2026-03-01T12:00:00Z", "data": {"ref": 1, "cart_ref": 2,'
    body += b'"placed_at": "2026-03-01T12:00:00Z", "currency": "EUR", "total": 123456789.10}}'
    assert parse(body).order.total == Decimal("123456789.10")


@settings(max_examples=300)
@given(
    st.binary(max_size=200)
    | st.builds(
        lambda kind, rest: json.dumps({"type": kind, **rest}).encode(),
        st.sampled_from(KINDS),
        st.dictionaries(
            st.sampled_from(["data", "timestamp"]),
            st.none() | st.integers() | st.text() | st.just("2026-03-01T12:00:00Z") | st.just(CART) | st.just(ORDER),
        ),
    )
)
def test_any_bytes_are_an_event_or_a_sentence(raw):
    assert parsed_or_refused(raw)


def parsed_or_refused(raw):
    try:
        return parse(raw)
    except ValueError as error:
        return ": " in str(error)
