"""What a customer's mail holds, in words a shop owner would use."""

from __future__ import annotations

import dataclasses

import pytest

from daemon.mail import NothingToShow, load, render
from daemon.mail.sample import sample, tracking

TEMPLATES = load()


@pytest.mark.parametrize("name", sorted(TEMPLATES))
@pytest.mark.parametrize("locale", ["de-DE", "en-GB"])
def test_says_what_is_in_the_cart_what_it_costs_and_who_writes(name, locale):
    mail = render(TEMPLATES[name], sample(locale, 3))
    for part in (mail.html, mail.text):
        assert "Lindenstraße 12, 10969 Berlin" in part
        assert "https://tillbell.example/u/sample" in part
        assert ("Leinenschürze" if locale == "de-DE" else "Linen apron") in part
        assert ("39,90\xa0€" if locale == "de-DE" else "€39.90") in part


def test_all_sold_out_is_no_mail():
    context = sample("en", 1)
    gone = tuple(dataclasses.replace(line, in_stock=False) for line in context.lines)
    with pytest.raises(NothingToShow, match="sold out"):
        render(TEMPLATES["remind"], dataclasses.replace(context, lines=gone, sold_out="leave_out"))


def test_without_consent_nothing_watches_the_reader():
    mail = render(TEMPLATES["remind"], sample("en", 3))
    assert "/c/" not in mail.html
    assert "/o/" not in mail.html
    assert mail.links == ()


def test_with_consent_each_link_has_its_number():
    mail = render(TEMPLATES["remind"], sample("en", 3), tracking())
    assert "/o/sample.gif" in mail.html
    assert [link.kind for link in mail.links] == ["cart", "product", "product", "product", "shop", "honeypot"]
