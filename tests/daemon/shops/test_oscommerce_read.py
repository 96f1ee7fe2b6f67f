"""What rows mean, without a database."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from daemon.shops.oscommerce_read import (
    Key,
    by_recipient,
    in_stock,
    key,
    last_change,
    moment,
    network,
    price,
    standing,
    text,
)

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 10, 17, 10, 0, tzinfo=UTC)
wall = datetime.fromisoformat
"""A reading of a clock in no zone, as the database gives it."""


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param("2", Key("2", 2), id="a product without options"),
        pytest.param("2{1}1", Key("2{1}1", 2, ((1, 1),)), id="one option"),
        pytest.param("2{1}1{3}5", Key("2{1}1{3}5", 2, ((1, 1), (3, 5))), id="two options"),
        pytest.param("2{txt_4}Ada", Key("2{txt_4}Ada", 2), id="a typed text is no value"),
        pytest.param("5x36", Key("5x36", 5, (), 36), id="a combination"),
        pytest.param("5{4}9x36", Key("5{4}9x36", 5, ((4, 9),), 36), id="an option and a combination"),
        pytest.param("7:0cc175b9", Key("7:0cc175b9", 7, (), 0, True), id="a digest"),
        pytest.param("", None, id="nothing"),
        pytest.param(None, None, id="no value"),
        pytest.param("kettle", None, id="a word"),
        pytest.param("-3", None, id="a negative number"),
        pytest.param("2'; DROP TABLE orders; --", None, id="an attack"),
    ],
)
def test_key(raw: str | None, expected: Key | None) -> None:
    assert key(raw) == expected


def test_a_key_names_a_variant_only_beyond_the_product() -> None:
    found = [key("5"), key("5x36"), key("2{1}1")]
    assert [one.variant for one in found if one] == ["", "5x36", "2{1}1"]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("Kettle", "Kettle"),
        ("  Ket\r\ntle\x00 ", "Ket tle"),
        ("Pots &amp; Pans", "Pots & Pans"),
        (b"F\xc3\xbcr \xff", "Für �"),
        ("lone \ud800 half", "lone half"),
        (None, ""),
        (42, "42"),
        ("x" * 300, "x" * 255),
    ],
)
def test_text(raw: object, expected: str) -> None:
    assert text(raw) == expected


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        pytest.param(wall("2026-07-01 12:00"), datetime(2026, 7, 1, 10, tzinfo=UTC), id="summer"),
        pytest.param(wall("2026-01-01 12:00"), datetime(2026, 1, 1, 11, tzinfo=UTC), id="winter"),
        pytest.param(wall("2026-10-25 02:30"), datetime(2026, 10, 25, 1, 30, tzinfo=UTC), id="the later of twice"),
        pytest.param(None, None, id="no date"),
    ],
)
def test_moment(reading: datetime | None, expected: datetime | None) -> None:
    assert moment(reading, BERLIN) == expected


@pytest.mark.parametrize(
    ("written", "kind", "expected"),
    [
        pytest.param(["20261016", "20261017"], "day", (datetime(2026, 10, 16, 22, tzinfo=UTC), "day"), id="latest day"),
        pytest.param(["", None, "00000000", "20261399"], "day", (None, "unknown"), id="no day at all"),
        pytest.param(["20261018"], "day", (None, "unknown"), id="tomorrow is not believed"),
        pytest.param([wall("2026-10-17 11:59")], "php", (NOW - timedelta(minutes=1), "second"), id="PHP's clock"),
        pytest.param([wall("2026-10-17 12:59")], "php", (None, "unknown"), id="an hour ahead is not believed"),
        pytest.param([wall("2026-10-17 09:59"), None], "utc", (NOW - timedelta(minutes=1), "second"), id="UTC"),
    ],
)
def test_last_change(written: list[object], kind: str, expected: tuple[datetime | None, str]) -> None:
    assert last_change(written, kind, BERLIN, NOW) == expected


PRODUCT = {"price": Decimal(20), "special": None, "tax_class": 1, "quantity": 0, "combis_rule": 2}
TAX = {1: Decimal(19)}


@pytest.mark.parametrize(
    ("product", "options", "combi", "expected"),
    [
        pytest.param({}, [], None, "23.80", id="the usual price and tax"),
        pytest.param({"special": Decimal(10)}, [], None, "11.90", id="a special"),
        pytest.param({"special": Decimal(0)}, [], None, "0.00", id="a special for nothing"),
        pytest.param({"tax_class": 0}, [{"price": 1, "prefix": ""}], None, "21.00", id="no sign is plus"),
        pytest.param({"tax_class": 9}, [{"price": 1, "prefix": "-"}], None, "19.00", id="minus, and an unknown class"),
        pytest.param({"tax_class": 0}, [{"price": 7, "prefix": "="}], None, "7.00", id="instead of the price"),
        pytest.param({}, [], {"price_type": "calc", "price": 1}, "24.99", id="a combination's extra"),
        pytest.param({}, [], {"price_type": "fix", "price": 1}, "1.19", id="a combination's own price"),
    ],
)
def test_price(product: dict, options: list, combi: dict | None, expected: str) -> None:
    assert price({**PRODUCT, **product}, options, combi, TAX) == Decimal(expected)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        pytest.param(0, True, id="as the shop is set"),
        pytest.param(1, False, id="the product's own stock"),
        pytest.param(2, True, id="the combination's stock"),
        pytest.param(3, True, id="no stock is kept"),
    ],
)
def test_in_stock(rule: int, expected: bool) -> None:
    assert in_stock({**PRODUCT, "combis_rule": rule}, {"quantity": Decimal(3)}) is expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Pending", "Offen"], "purchase"),
        (["Processing"], "purchase"),
        (["Preparing [PayPal Standard]"], "pending"),
        (["Not validated", "Nicht bestätigt"], "pending"),
        (["STORNIERT"], "cancelled"),
        (["Refunded"], "cancelled"),
        (["Payment failed"], "failed"),
        (["Abandoned Shopping Cart"], "failed"),
        (["Awaiting payment"], "on_hold"),
        (["On Hold [PayPal]"], "on_hold"),
        ([], "purchase"),
    ],
)
def test_standing(names: list[str], expected: str) -> None:
    assert standing(1, names, {}, {}) == expected


def test_what_the_owner_says_of_a_status_counts_most() -> None:
    assert standing(7, ["Storniert"], {7: "failed"}, {}) == "failed"
    assert standing(7, ["Storniert"], {7: "failed"}, {"storniert": "on_hold"}) == "on_hold"
    assert standing(7, ["Storniert"], {7: "failed"}, {7: "purchase", "storniert": "on_hold"}) == "purchase"
    assert standing(7, ["x"], {}, {"7": "pending"}) == "pending"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("198.51.100.77", "198.51.100.0/24"),
        ("2001:db8:1:2::9", "2001:db8:1::/48"),
        ("198.51.100.xxx", ""),
        (None, ""),
    ],
)
def test_network(address: str | None, expected: str) -> None:
    assert network(address) == expected


SIGNED, CONFIRMED = wall("2026-05-04 08:00"), wall("2026-05-04 09:00")


@pytest.mark.parametrize(
    ("changes", "kind", "expected"),
    [
        pytest.param({}, "confirmed", "confirmed", id="double opt-in"),
        pytest.param({"confirmed": SIGNED}, "confirmed", "hint", id="double opt-in switched off"),
        pytest.param({"confirmed": None}, "confirmed", "hint", id="no date of the confirmation"),
        pytest.param({"status": 0}, "confirmed", "withdrawn", id="taken back after it was confirmed"),
        pytest.param({"status": 0, "confirmed": None}, "confirmed", "requested", id="the link was never followed"),
        pytest.param({"status": 2, "signed": None, "confirmed": None}, "confirmed", "withdrawn", id="unsubscribed"),
        pytest.param({}, "signed", "confirmed", id="link followed, sign-up kept with its address"),
        pytest.param({"signed_from": ""}, "signed", "hint", id="no address, no proof"),
        pytest.param({"by_admin": 1}, "signed", "hint", id="entered by an administrator"),
        pytest.param({}, "status", "hint", id="a status alone proves nothing"),
    ],
)
def test_consent(changes: dict, kind: str, expected: str) -> None:
    row = {"status": 1, "by_admin": 0, "signed": SIGNED, "signed_from": "198.51.100.7", "confirmed": CONFIRMED}
    assert by_recipient({**row, "confirmed_from": "198.51.100.7", **changes}, kind, BERLIN).state == expected
