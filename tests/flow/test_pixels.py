"""Nobody is followed without their consent where the law asks for one: shown on the mails as they arrive."""

from __future__ import annotations

import pytest

from daemon.shops.base import ConsentHint, Customer

ASK_FIRST = ("de", "at", "ch", "fr", "it", "uk")
FREE = ("us", "none")
POLICY = """
extends: default
legal: {legal}
starts: {{rests_for: 1h, only_if: 'person.group == "{legal}"'}}
"""
BOTH, NEITHER, CLICKS = "pixel and counted links", "plain", "counted links"
SAID = {
    "nothing": {},
    "yes": {"track_open": "confirmed", "track_click": "confirmed"},
    "no": {"track_open": "withdrawn", "track_click": "withdrawn"},
    "links": {"track_open": "withdrawn", "track_click": "confirmed"},
    "opens": {"track_open": "confirmed", "track_click": "withdrawn"},
    "asked": {"track_open": "requested", "track_click": "requested"},
}
EXPECTED = {
    True: {"nothing": NEITHER, "yes": BOTH, "no": NEITHER, "links": CLICKS, "opens": NEITHER, "asked": NEITHER},
    False: {"nothing": BOTH, "yes": BOTH, "no": NEITHER, "links": CLICKS, "opens": NEITHER, "asked": BOTH},
}
"""By whether the country asks for consent first. A pixel without counted links tells no machine from a human."""


def reader(legal: str, answer: str) -> Customer:
    words = {"email_mkt": "confirmed", **SAID[answer]}
    hints = [ConsentHint(purpose, state, None, "form", "double opt-in") for purpose, state in words.items()]
    return Customer(f"{legal}-{answer}", f"{legal}-{answer}@example.org", group=legal, consents=tuple(hints))


def following(mail) -> str:
    page = mail.get_body(("html",)).get_content()
    text = mail.get_body(("plain",)).get_content()
    pixel, links = "/o/" in page and ".gif" in page, "/c/" in page
    assert ("/c/" in text) == links
    assert links or not pixel
    assert ('width="1"' in page) == pixel
    return BOTH if pixel else CLICKS if links else NEITHER


@pytest.mark.parametrize("asks_first", [True, False], ids=["where the law asks first", "where it does not"])
async def test_each_profile_s_mails_carry_what_its_reader_allowed(make_town, asks_first):
    profiles = ASK_FIRST if asks_first else FREE
    town = await make_town(policies={legal: POLICY.format(legal=legal) for legal in profiles})
    for legal in profiles:
        for answer in SAID:
            await town.leaves_cart(f"{legal}-{answer}", reader(legal, answer), "red")
    await town.passes(hours=1, minutes=20)
    for legal in profiles:
        found = {answer: following(town.letters.of(f"{legal}-{answer}@example.org")[0]) for answer in SAID}
        assert found == EXPECTED[asks_first], legal
