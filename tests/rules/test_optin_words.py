"""Forms by which people ask to be written to: what one may be about."""

import pytest

from rules.shops import shops_from
from rules.source import read

SHOP = "shops: {main: {connector: push, url: https://s.example, opt_in: {%s}}}\n"


def mistakes(form):
    return [str(one) for one in shops_from(read(SHOP % form, "s.yaml")).mistakes]


@pytest.mark.parametrize(
    ("form", "channel", "said"),
    [
        ("news: {purposes: [email_mkt], wording: {de: Ja gerne bitte, en: Yes please}}", "email", "Yes please"),
        ("texts: {purposes: [sms_mkt], wording: Ja bitte gerne}", "sms", "Ja bitte gerne"),
    ],
)  # fmt: skip
def test_a_form_is_about_mails_or_about_texts(form, channel, said):
    reading = shops_from(read(SHOP % form, "s.yaml"))
    assert reading.mistakes == ()
    [words] = reading.shops["main"].opt_in.values()
    assert (words.channel, words.said("en")) == (channel, said)
    assert words.said("pt") == next(iter(words.wording.values()))


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("a: {purposes: [email_mkt, sms_mkt], wording: Ja bitte gerne}", "about one of them"),
        ("a: {purposes: [track_open], wording: Ja bitte gerne}", "about one of them"),
        ("a: {purposes: [sms_mkt, track_click], wording: Ja bitte gerne}", "not with texts"),
        ("a: {purposes: [email_mkt], wording: Ja}", "at least 10"),
        ("a: {purposes: [ads_audience], wording: Ja bitte gerne}", "ads_audience"),
        ("A b: {purposes: [email_mkt], wording: Ja bitte gerne}", "not a name of a form"),
        ("a: {purposes: [email_mkt]}", "wording"),
    ],
)
def test_what_no_form_may_be(form, said):
    [mistake] = mistakes(form)
    assert said in mistake
