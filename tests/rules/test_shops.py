"""shops.yaml: what is read, and what is refused."""

from datetime import UTC, datetime

import pytest

from rules.shops import shops_from
from rules.source import read

HEAD = "shops:\n  main:\n    connector: feed\n    url: https://shop.example\n"


def mistakes(more):
    return [str(mistake) for mistake in shops_from(read(HEAD + more, "shops.yaml")).mistakes]


def shop(more=""):
    reading = shops_from(read(HEAD + more, "shops.yaml"))
    assert reading.mistakes == ()
    return reading.shops["main"]


def test_a_new_shop_rehearses_and_holds_out_a_tenth():
    found = shop()
    assert (found.mode, found.holdout, found.when_shop_silent) == ("rehearsal", 0.1, "wait")
    assert (found.legal, found.notice_since, found.rehearsal_to) == (None, None, None)
    assert found.hosts == ("shop.example",)
    assert found.shown_as == "shop.example"


def test_a_live_shop():
    found = shop(
        """    mode: live
    zone: Europe/Berlin
    locale: de-DE
    holdout: 5%
    legal: de
    cart_page: https://www.shop.example/cart
    link_hosts: [Pictures.shop.example]
    existing_customer_notice: {since: 2024-05-01, version: v3}
    sender:
      name: Lampen-Löwe
      address: Hallo@Shop.example
      imprint: [Lampen-Löwe GmbH, "Weg 1, 10115 Berlin"]
    connection: {anything: [goes, here]}
"""
    )
    assert found.notice_since == datetime(2024, 4, 30, 22, tzinfo=UTC), "midnight where the shop is"
    assert found.hosts == ("shop.example", "www.shop.example", "pictures.shop.example")
    assert (found.sender.address, found.shown_as, found.holdout) == ("Hallo@shop.example", "Lampen-Löwe", 0.05)
    assert "goes" not in repr(found), "a connection may hold secrets"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param(
            "    mode: live\n",
            "shops.yaml:3:5 shops.main: a live shop needs a sender: {name: …, address: …, imprint: […]}",
            id="live without a sender",
        ),
        pytest.param(
            "    rehearsal_to: me@shop.example\n",
            "shops.yaml:3:5 shops.main: a rehearsal that writes to rehearsal_to needs a sender: {name: …, address: …, "
            "imprint: […]}",
            id="a rehearsal without a sender",
        ),
        pytest.param(
            "    mode: live\n    sender: {name: L, address: a@shop.example, imprint: [L]}\n",
            "shops.yaml:6:13 shops.main.sender: a live shop needs an imprint: at least your name and your postal "
            "address, line by line",
            id="live without a postal address",
        ),
        pytest.param(
            "    sender: {name: L, address: hallo at shop}\n",
            'shops.yaml:5:32 shops.main.sender.address: "hallo at shop" is not an e-mail address: '
            "An email address must have an @-sign.",
            id="no address",
        ),
        pytest.param(
            "    mod: live\n", 'shops.yaml:5:5 shops.main.mod: unknown word "mod"; did you mean "mode"?', id="a slip"
        ),
        pytest.param(
            "    mode: production\n",
            'shops.yaml:5:11 shops.main.mode: "production" is not known here; it can be rehearsal, live',
            id="an unknown mode",
        ),
        pytest.param(
            "    zone: CEST\n",
            'shops.yaml:5:11 shops.main.zone: "CEST" is not a time zone; write it like "Europe/Berlin"',
            id="no zone",
        ),
        pytest.param(
            "    holdout: 0.1\n",
            'shops.yaml:5:14 shops.main.holdout: "0.1" is not a share; write it like "10%", at most 50%',
            id="a share without its sign",
        ),
        pytest.param(
            "    link_hosts: [https://x.example]\n",
            'shops.yaml:5:18 shops.main.link_hosts[0]: "https://x.example" is not a host name; write it like '
            '"shop.example"',
            id="a host that is an address",
        ),
        pytest.param(
            "    cart_page: javascript:alert(1)\n",
            'shops.yaml:5:16 shops.main.cart_page: "javascript:alert(1)" is not an address of the web; write it in '
            'full, like "https://shop.example"',
            id="a cart page that is a script",
        ),
        pytest.param(
            "    existing_customer_notice: {since: May}\n",
            'shops.yaml:5:39 shops.main.existing_customer_notice.since: "May" is not a day; write it like "2024-05-01"',
            id="no day",
        ),
        pytest.param("  Main: {}\n", None, id="a bad name, and nothing in it"),
    ],
)
def test_a_mistake_has_an_address_and_a_hint(more, expected):
    found = mistakes(more)
    if expected is None:
        assert [mistake.split(" ")[0] for mistake in found] == ["shops.yaml:5:9"] * 3
    else:
        assert found == [expected]


def test_an_address_for_tests_is_an_address():
    sender = "    sender: {name: L, address: hallo@example.test}\n"
    assert shop("    rehearsal_to: me@example.test\n" + sender).rehearsal_to == "me@example.test"


def test_no_shops_at_all():
    (mistake,) = shops_from(read("", "shops.yaml")).mistakes
    assert str(mistake) == 'shops.yaml:1:1: the word "shops" is missing here'
