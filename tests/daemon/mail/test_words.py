"""The words of the mails: complete in every language, and mistakes in them found by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.mail.errors import TemplateError
from daemon.mail.template import ALWAYS, COMMON, SHIPPED, load
from daemon.mail.words import TEXTS, candidates, load_words

SHIPPED_WORDS = load_words([SHIPPED])
TEMPLATES = load()


def test_every_language_has_every_word_with_the_same_places():
    english = SHIPPED_WORDS["en"]
    assert set(SHIPPED_WORDS) == {"de", "en", "fr", "es", "it"}
    for tag, language in SHIPPED_WORDS.items():
        wanted = set(english) if tag in ("de", "en") else {TEXTS}  # the other three speak in texts only
        assert {section: set(words) for section, words in language.items()} == {
            section: set(words) for section, words in english.items() if section in wanted
        }, tag
        for section, words in language.items():
            for name, word in words.items():
                assert places(word) == places(english[section][name]), (tag, section, name)
                assert word.by == english[section][name].by


def places(word) -> set[str]:
    return {place for _, place in word.forms["other"] if place}


def test_no_word_is_there_for_nothing():
    spoken = {word for template in TEMPLATES.values() for word in template.voices["en"]}
    assert set(SHIPPED_WORDS["en"][COMMON]) <= spoken
    for name, template in TEMPLATES.items():
        assert set(SHIPPED_WORDS["en"][name]) <= set(template.voices["en"])


@pytest.mark.parametrize(
    ("locale", "shop", "expected"),
    [
        pytest.param("de-AT", "en-GB", ["de-AT", "de", "en-GB", "en"], id="the person's own first"),
        pytest.param("de_AT", "de-DE", ["de-AT", "de", "de-DE", "en"], id="an underscore is no matter"),
        pytest.param("", "de", ["de", "en"], id="the shop's where the person's is not known"),
        pytest.param("xx-garbled-\x00", "", ["en"], id="English in the end"),
        pytest.param("zh-Hans-CN", "fr", ["zh-CN", "zh", "fr", "en"], id="a script is no matter"),
    ],
)
def test_which_language_is_looked_for(locale, shop, expected):
    assert [*candidates(locale, shop)] == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, "Ein Artikel liegt noch darin."), (2, "2 Artikel liegen noch darin."), (12, "12 Artikel liegen noch darin.")],
)
def test_plurals(count, expected):
    word = SHIPPED_WORDS["de"]["remind"]["preheader"]
    said = word.say({"count": str(count)}, {"count": count}, lambda number: "one" if number == 1 else "other")
    assert said == expected


def test_a_value_is_never_read_as_a_place():
    word = SHIPPED_WORDS["en"][COMMON]["greeting"]
    assert word.say({"name": "{shop} {0} %s"}, {}, str) == "Hello {shop} {0} %s,"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param('a: {b: "{prise}"}', "words.fr.yaml:1: a.b: {prise} means nothing here", id="unknown place"),
        pytest.param('a:\n  b: "{shop.__class__}"', "words.fr.yaml:2: a.b: {shop.__class__} means", id="attribute"),
        pytest.param('a:\n  b: "{shop!r:>99999999}"', "words.fr.yaml:2: a.b: {shop} means", id="format code"),
        pytest.param('a:\n  b: "{shop"', "words.fr.yaml:2: a.b: expected '}'", id="open brace"),
        pytest.param("a:\n  b: 12", "words.fr.yaml:2: a.b: must be a text", id="a number"),
        pytest.param("a:\n  b: [x]", "words.fr.yaml:2: a.b: must be a text", id="a list"),
        pytest.param("a: b", "words.fr.yaml:1: a must hold words", id="no section"),
        pytest.param("a:\n  b: {one: x}", "words.fr.yaml:2: a.b: needs a text for each plural form", id="no other"),
        pytest.param("a:\n  b: {other: x, by: age}", "words.fr.yaml:2: a.b: the plural goes by", id="by age"),
        pytest.param("a:\n  b: {other: x, ohne: y}", "words.fr.yaml:2: a.b: ohne is no plural form", id="no category"),
        pytest.param("a:\n  b: x\n  b: y", "words.fr.yaml:3: found duplicate key", id="the same word twice"),
        pytest.param("a: [", "words.fr.yaml:1: expected", id="no YAML"),
        pytest.param("- a", "words.fr.yaml: must be sections of words", id="a list of sections"),
        pytest.param("x" * 300_000, "words.fr.yaml: larger than 256 KB", id="too large"),
        pytest.param("a: &a [*a]", "words.fr.yaml:1: a must hold words", id="a snake that bites its tail"),
    ],
)
def test_a_mistake_has_a_line(tmp_path: Path, text, says):
    tmp_path.joinpath("words.fr.yaml").write_text(text)
    with pytest.raises(TemplateError) as error:
        load_words([tmp_path])
    assert f"{tmp_path.name}/{says}" in str(error.value)


def test_a_file_of_no_language_is_refused(tmp_path: Path):
    tmp_path.joinpath("words.klingon.yaml").write_text("a: {b: c}")
    with pytest.raises(TemplateError, match="klingon is no language"):
        load_words([tmp_path])


def test_single_words_stand_in_for_shipped_ones(tmp_path: Path):
    tmp_path.joinpath("words.de.yaml").write_text('common: {greeting: "Hallo {name}!"}\n')
    words = load_words([SHIPPED, tmp_path])
    assert words["de"][COMMON]["greeting"].forms["other"] == (("Hallo ", "name"), ("!", ""))
    assert words["de"][COMMON]["regards"] == SHIPPED_WORDS["de"][COMMON]["regards"]


def test_a_region_holds_only_what_differs(tmp_path: Path):
    tmp_path.joinpath("words.de-AT.yaml").write_text('common: {greeting_nameless: "Grüß Gott,"}\n')
    words = load_words([SHIPPED, tmp_path])
    assert words["de-AT"][COMMON]["greeting_nameless"].forms["other"] == (("Grüß Gott,", ""),)
    assert set(words["de-AT"][COMMON]) >= set(ALWAYS) - {"subject", "preheader"}
    assert words["de"][COMMON]["greeting_nameless"] == SHIPPED_WORDS["de"][COMMON]["greeting_nameless"]
