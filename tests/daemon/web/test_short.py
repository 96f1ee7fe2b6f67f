"""The short links of a text lead where its long ones would."""

import pytest

from daemon import tokens
from daemon.tokens import Short
from tests.letters import SECRETS

CART = "https://shop.example/cart"


def address(letter, site, purpose="click", **words):
    return f"/s/{tokens.make_short(SECRETS, Short(purpose, site.shop_id, letter.id, **words))}"


async def test_short_link_goes_to_the_cart_and_is_kept_unless_nobody_may_follow(site):
    letter = await site.letter()
    for words, kinds in (({}, ["clicked"]), ({"silent": True}, ["clicked"])):
        status, response, _ = await site.ask("GET", address(letter, site, **words))
        assert (status, response.headers["Location"].split("?")[0]) == (302, CART)
        assert await site.kinds() == kinds
    assert await site.rows("SELECT message_id, link_no FROM event") == [(letter.id, 0)]


async def test_looking_without_fetching_leaves_no_trace(site):
    letter = await site.letter()
    assert (await site.ask("HEAD", address(letter, site)))[0] == 302
    assert await site.kinds() == []


async def test_way_out_is_a_page_that_asks(site):
    letter = await site.letter()
    status, response, _ = await site.ask("GET", address(letter, site, "unsubscribe"))
    assert status == 302
    status, _, body = await site.ask("GET", response.headers["Location"])
    assert (status, "<form" in body) == (200, True)
    assert await site.rows("SELECT 1 FROM suppression") == []


@pytest.mark.parametrize("path", ["/s/7WcQf2mX1bTnLkq9", "/s/x", "/s/" + "a" * 90, "/s/%00"])
async def test_made_up_link_leads_nowhere(site, path):
    assert (await site.ask("GET", path))[0] == 404
    assert await site.kinds() == []


async def test_link_of_a_rehearsal_leaves_no_trace(site):
    letter = await site.letter()
    status, _, _ = await site.ask("GET", address(letter, site, rehearsal=True))
    assert status == 200
    assert await site.kinds() == []
