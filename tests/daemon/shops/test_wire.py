"""A shop's JSON becomes snapshots; garbage is refused with the path of what is wrong."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from daemon.shops.base import Customer, Line
from daemon.shops.wire import Cart, Order, Product, first_problem, json_value

LINE = {"product_ref": "A-1", "name": "Boots", "quantity": 1, "unit_price": "20.00"}
CART = {"ref": 7, "currency": "eur", "lines": [LINE], "customer": {"email": "ada@example.org"}}
ORDER = {"ref": "9", "placed_at": "2026-03-01T12:00:00Z", "total": "20", "currency": "EUR", "email": "ada@example.org"}


def cart(**changes):
    return Cart.model_validate({**CART, **changes}).snapshot()


def line(**changes):
    return cart(lines=[{**LINE, **changes}], total=1).lines[0]


def order(**changes):
    return Order.model_validate({**ORDER, **changes}).snapshot()


def problem(model, value):
    with pytest.raises(ValidationError) as caught:
        model.model_validate(value)
    return first_problem(caught.value)


def test_the_smallest_cart():
    told = cart()
    assert (told.ref, told.currency, told.total) == ("7", "EUR", Decimal("20.00"))
    assert told.customer == Customer(email="ada@example.org")
    assert told.lines == (Line("A-1", "A-1", "Boots", Decimal(1), Decimal("20.00")),)
    assert (told.stage, told.source_updated_at, told.time_precision) == ("cart", None, "unknown")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        pytest.param("19.90", "19.90", id="a text"),
        pytest.param(" 19.9 ", "19.90", id="a text with spaces around it"),
        pytest.param(20, "20.00", id="a whole number"),
        pytest.param(19.9, "19.90", id="a fraction"),
        pytest.param(19.989999999999998, "19.99", id="what PHP makes of 19.99"),
        pytest.param(0.1 + 0.2, "0.30", id="what JavaScript makes of 0.1 + 0.2"),
        pytest.param("0.0049", "0.0049", id="a price per gram keeps four places"),
        pytest.param(-0.00001, "0.00", id="never a negative zero"),
        pytest.param(-5, "-5.00", id="a voucher as a line"),
    ],
)
def test_money_has_no_traces_of_floats(written, meant):
    sent = json_value(json.dumps({**LINE, "unit_price": written}).encode())
    assert str(line(**sent).unit_price) == meant


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        pytest.param("total", "1.234,50", "total: must be written like", id="a comma in a price"),
        pytest.param("total", "EUR 5", "total: must be written like", id="a currency in a price"),
        pytest.param("total", True, "total: must be a number", id="true is no price"),
        pytest.param("total", -1, "total: must not be negative", id="a cart worth less than nothing"),
        pytest.param("total", Decimal("1e400000"), "total: must be less than", id="a number without end"),
        pytest.param("total", [], "total: must be a number", id="a list is no price"),
        pytest.param("currency", "", "currency: string should have at least 3", id="no currency"),
        pytest.param("currency", "€", "currency: must be three letters", id="a sign is no currency"),
        pytest.param("ref", "", "ref: must have 1 to 200", id="no reference"),
        pytest.param("ref", "x" * 201, "ref: must have 1 to 200", id="a reference is never cut"),
        pytest.param("ref", "a\x00b", "ref: must not hold control", id="NUL in a reference"),
        pytest.param("ref", "\ud800", "ref: must not hold control", id="half a character in a reference"),
        pytest.param("ref", 1.5, "ref: must be a text or a whole number", id="a fraction is no reference"),
        pytest.param("stage", "paid", "stage: input should be 'cart'", id="an unknown stage"),
        pytest.param("lines", {}, "lines: input should be a valid tuple", id="lines that are none"),
        pytest.param("lines", [LINE] * 501, "lines: tuple should have at most 500", id="too many lines"),
        pytest.param("lines", ["x"], "lines[0]: input should be", id="a line that is a text"),
        pytest.param("customer", {"email": "ada"}, "customer.email: must be one e-mail", id="no address"),
        pytest.param("customer", {"email": "a@b, c@d"}, "customer.email: must be one", id="two addresses"),
        pytest.param("customer", {"email": "a@b\r\nBcc: c@d"}, "customer.email: must be one", id="a header"),
        pytest.param("customer", {"locale": "german!"}, "customer.locale: must be a language", id="no language"),
        pytest.param("customer", {"zone": "../../etc"}, "customer.zone: must be a time zone", id="a path as zone"),
        pytest.param("customer", {"zone": "Europe"}, "customer.zone: must be a time zone", id="a folder as zone"),
        pytest.param("recovery_url", "javascript:alert(1)", "recovery_url: must be a whole", id="a script"),
        pytest.param("recovery_url", "/cart/7", "recovery_url: must be a whole", id="half an address"),
        pytest.param("recovery_url", "https://a/\"onload='x", "recovery_url: must be a whole", id="a quote in a link"),
        pytest.param("recovery_url", "https://shop@evil/", "recovery_url: must be a whole", id="a disguised host"),
        pytest.param("updated_at", "2026-03-01 12:00:00", "updated_at: must be a time with its zone", id="no zone"),
        pytest.param("updated_at", 1700000000, "updated_at: must be a time with its zone", id="Unix time"),
        pytest.param("updated_at", "2026-02-30T12:00:00Z", "updated_at: is no time", id="30 February"),
        pytest.param("updated_at", "0001-01-01T00:00:00+14:00", "updated_at: is no time", id="before the calendar"),
        pytest.param("updated_at", "1970-01-01T00:00:00Z", "updated_at: must lie between", id="the epoch"),
    ],
)
def test_garbage_in_a_cart(path, value, sentence):
    assert problem(Cart, {**CART, path: value}).startswith(sentence)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param({"quantity": -1}, "lines[0].quantity: must not be negative", id="less than nothing"),
        pytest.param({"quantity": "two"}, "lines[0].quantity: must be written", id="a word"),
        pytest.param({"quantity": 10**9}, "lines[0].quantity: must be less", id="a thousand million boots"),
        pytest.param({"name": {}}, "lines[0].name: must be a text", id="a name that is none"),
        pytest.param({"product_ref": None}, "lines[0].product_ref: field required", id="null is absent"),
        pytest.param({"in_stock": "perhaps"}, "lines[0].in_stock: input should be a valid boolean", id="perhaps"),
        pytest.param({"image_url": "data:image/png;base64,AA"}, "lines[0].image_url: must be a whole", id="inline"),
    ],
)
def test_garbage_in_a_line(changes, sentence):
    assert problem(Cart, {**CART, "lines": [{**LINE, **changes}]}).startswith(sentence)


def test_texts_are_cleaned_and_cut():
    assert line(name="Sh\x00oes\ud800\r\n  \u202egrün\u200d 👟").name == "Shoes\ufffd grün\u200d 👟"
    assert len(line(name="x" * 1000).name) == 300
    assert line(name="\x00").name == "A-1"


def test_unknown_fields_and_nulls_change_nothing():
    assert cart(colour="red", total=None, stage=None, customer={**CART["customer"], "shoe": 9, "phone": None}) == cart()


def test_a_line_without_quantity_is_no_line():
    assert cart(lines=[LINE, {**LINE, "product_ref": "B", "quantity": 0}]) == cart()
    assert cart(lines=[]).lines == ()
    assert cart(lines=[]).total == 0


def test_lines_have_keys_of_their_own():
    lines = [LINE, LINE, {**LINE, "options": "red"}, {**LINE, "key": "k"}, {**LINE, "key": "k"}, LINE]
    assert [one.key for one in cart(lines=lines).lines] == ["A-1", "A-1#2", "A-1/red", "k", "k#2", "A-1#3"]


def test_without_a_total_the_lines_are_summed():
    lines = [{**LINE, "quantity": "2.5"}, {**LINE, "product_ref": "voucher", "unit_price": "-5"}]
    assert str(cart(lines=lines).total) == "45.00"
    assert str(cart(lines=lines[1:]).total) == "0.00"
    assert problem(Cart, {**CART, "lines": [{**LINE, "unit_price": None}]}) == (
        'body: needs "total", or "unit_price" in every line'
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        pytest.param("2026-03-01T12:00:00Z", datetime(2026, 3, 1, 12, tzinfo=UTC), id="Greenwich"),
        pytest.param("2026-03-01t13:00:00.5+01:00", datetime(2026, 3, 1, 12, 0, 0, 500000, tzinfo=UTC), id="Berlin"),
        pytest.param("2026-03-01 12:00:00.123456789z", datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC), id="nano"),
        pytest.param("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC), id="a leap second"),
    ],
)
def test_times_of_rfc_3339(written, meant):
    assert cart(updated_at=written).source_updated_at == meant


def test_an_order():
    told = order(cart_ref=7, status="Offen", coupon_codes=["TEN", ""])
    assert (told.standing, told.status, told.cart_ref, told.coupon_codes) == ("purchase", "Offen", "7", ("TEN",))
    assert order(standing="pending").status == "pending"


def test_a_bad_address_loses_no_purchase():
    assert order(email="nobody", customer_ref=5).email == ""
    assert order(email=[], cart_ref=7).cart_ref == "7"
    assert problem(Order, {**ORDER, "email": "nobody"}).startswith("email: must be one e-mail")
    assert problem(Order, {**ORDER, "email": "", "phone": "123"}).startswith('body: needs "customer_ref", "email"')


def test_a_product():
    told = Product.model_validate({"ref": 1, "name": "Boots", "price": 19.9, "cost": "8", "in_stock": 0}).snapshot()
    assert (told.ref, told.price, told.cost, told.in_stock) == ("1", Decimal("19.90"), Decimal(8), False)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param(b"", "body: is not JSON (line 1, column 1", id="nothing"),
        pytest.param(b"<html>", "body: is not JSON", id="a page"),
        pytest.param(b'{"a": 1', "body: is not JSON (line 1, column 8", id="cut off"),
        pytest.param(b"\xff\xfe{}", "body: is not UTF-8", id="UTF-16"),
        pytest.param(b"NaN", "body: is no JSON that can be read", id="not a number"),
        pytest.param(b"[" * 200_000, "body: is no JSON that can be read", id="nested without end"),
        pytest.param(b"1" * 5000, "body: is no JSON that can be read", id="a number of 5,000 digits"),
        pytest.param(b"1e99999999999999999999", "body: is no JSON that can be read", id="an exponent without end"),
    ],
)
def test_what_is_not_json(body, sentence):
    with pytest.raises(ValueError, match=r"^body: ") as caught:
        json_value(body)
    assert str(caught.value).startswith(sentence)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text() | st.sampled_from(["EUR", "a@b", "cart"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(Cart.model_fields)), inner),
    max_leaves=12,
)


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from([*Cart.model_fields, *Order.model_fields]), json_values))
def test_whatever_comes_is_read_or_refused_by_path(value):
    for model in (Cart, Order, Product):
        for told in (value, {**CART, **ORDER, **value}):
            assert read_or_refused(model, told)


def read_or_refused(model, told):
    try:
        return model.model_validate(told).snapshot()
    except ValidationError as error:
        return first_problem(error)
