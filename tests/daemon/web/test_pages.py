"""What the pages say, in each language that they speak."""

import re

import pytest

from daemon.mail.confirmation import WORDS as ASKING
from daemon.web.pages import WORDS, language

LANGUAGES = {"de", "en", "es", "fr", "it"}
PLACE = re.compile(r"\{[a-z]+\}")


def places(words):
    return {
        (page, key): sorted(PLACE.findall(text))
        for page, said in words.items()
        for key, text in (said.items() if isinstance(said, dict) else [("", said)])
    }


def test_the_pages_and_the_mail_that_asks_speak_the_same_languages():
    assert set(WORDS) == set(ASKING) == LANGUAGES


@pytest.mark.parametrize("lang", sorted(LANGUAGES - {"de"}))
def test_a_language_says_all_that_german_says(lang):
    """The same pages with the same words, and no shop, day, link or code left out."""
    assert places(WORDS[lang]) == places(WORDS["de"])
    assert {key: sorted(PLACE.findall(text)) for key, text in ASKING[lang].items()} == {
        key: sorted(PLACE.findall(text)) for key, text in ASKING["de"].items()
    }
    empty = [key for page in WORDS[lang].values() if isinstance(page, dict) for key, text in page.items() if not text]
    assert set(empty) <= {"button", "note"}


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [(("fr-CA",), "fr"), (("", "it-CH,de;q=0.5"), "it"), (("pt", "", "es-ES"), "es"), (("pt",), "en")],
)
def test_a_page_is_in_the_first_language_wished_for_that_it_speaks(wishes, expected):
    assert language(*wishes) == expected
