"""The words of the script on the shop's pages, and what its notices say."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from daemon.flow import notices
from daemon.settings import Settings
from rules.notices import in_language, said
from rules.onsite import OnsiteWords, TextWords, origins
from rules.policy import Step
from rules.shops import ShopWords

KEY = "k" * 32


def words(**more: object) -> OnsiteWords:
    return OnsiteWords.model_validate({"key": KEY, **more})


def test_pages_are_those_of_the_shop_exactly():
    found = origins("https://Shop.example/start", "https://shop.example:8443/cart", words(hosts=["www.shop.example"]))
    assert found == {"https://shop.example", "https://shop.example:8443", "https://www.shop.example"}
    assert origins("http://127.0.0.1:80/", None, words()) == {"http://127.0.0.1"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": "short"},
        {"key": [KEY, KEY]},
        {"key": []},
        {"hosts": ["*.shop.example"]},
        {"hosts": ["https://shop.example"]},
        {"hosts": ["shop.example/x"]},
        {"ask_for_push": "always"},
        {"texts": {"hello": {}}},
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, object]):
    with pytest.raises(ValidationError):
        words(**wrong)


def test_own_words_go_before_ours_in_each_language():
    own = words(texts={"remind": {"title": {"de": "Na?", "fr": "Alors?"}}})
    found = said("remind", "Löwe", own, TextWords.model_validate({"button": "OK"}))
    assert (found["de"]["title"], found["fr"]["title"], found["en"]["title"]) == (
        "Na?", "Alors?", "Your basket is still here"
    )  # fmt: skip
    assert {texts["button"] for texts in found.values()} == {"OK"}
    assert "Löwe" in found["de"]["text"]
    assert in_language(found, "de-AT")[0] == "de"
    assert in_language(found, "it", "fr-CH")[0] == "fr"
    assert in_language(found, "it")[0] == "en"


def test_a_notice_goes_with_a_step_on_the_site_only():
    step = {"name": "back", "send": "onsite", "after": "2h", "notice": {"when": "leaves"}}
    assert Step.model_validate(step).notice is not None
    with pytest.raises(ValidationError, match="send: onsite"):
        Step.model_validate({**step, "send": "email"})


def test_a_step_on_the_site_needs_the_script():
    shop = {"connector": "push", "url": "https://shop.example"}
    assert "key" in notices.unable(ShopWords.model_validate(shop), Settings())
    assert "off" in notices.unable(ShopWords.model_validate({**shop, "onsite": {"key": KEY, "on": False}}), Settings())
    assert notices.unable(ShopWords.model_validate({**shop, "onsite": {"key": KEY}}), Settings()) == ""
