"""Templates of the operator's own: they stand in for shipped ones, and their mistakes are named by file and line."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from daemon.mail import TemplateError, load, load_tried, render
from daemon.mail.sample import sample
from daemon.mail.template import SHIPPED

FRENCH = """
{name}:
  subject: "Votre panier"
  preheader: "Il vous attend."
  headline: "Votre panier"
  text: "il vous attend."
  button: "Voir mon panier"
  closing: "A bientôt."
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "templates"
    shutil.copytree(SHIPPED / "parts", folder / "parts")
    for name in ("remind.mjml", "remind.txt"):
        shutil.copy(SHIPPED / name, folder)
    return folder


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_the_three_shipped_ones_speak_german_and_english():
    assert {name: sorted(template.voices) for name, template in load().items()} == {
        "doubts": ["de", "en"], "last-call": ["de", "en"], "remind": ["de", "en"],
    }  # fmt: skip


def test_what_has_not_changed_keeps_its_digest_and_is_not_compiled_again():
    first, second = load()["remind"], load()["remind"]
    assert first.digest == second.digest
    assert first.html is second.html


def test_an_own_template_stands_in_for_the_shipped_one(own: Path):
    change(own / "parts" / "closing.mjml", "{{ words.regards }}", "From all of us")
    mine = load_tried(own)
    assert mine["remind"].digest != load()["remind"].digest
    assert "From all of us" in render(mine["remind"], sample()).html
    assert "From all of us" in render(mine["last-call"], sample()).html


def test_a_template_of_a_new_name_needs_only_its_words(own: Path):
    (own / "remind.mjml").rename(own / "hello.mjml")
    (own / "remind.txt").rename(own / "hello.txt")
    with pytest.raises(TemplateError, match=r"no words\.<language>\.yaml has a section hello"):
        load(own)
    (own / "words.de.yaml").write_text(FRENCH.format(name="hello"))
    assert render(load(own)["hello"], sample("en")).subject == "Votre panier"


def test_a_language_must_have_every_word_of_a_template_it_speaks_in(own: Path):
    (own / "words.fr.yaml").write_text(FRENCH.format(name="remind"))
    with pytest.raises(TemplateError, match=r'words\.fr\.yaml has no word "greeting" for remind') as error:
        load(own)
    assert "templates/parts" not in str(error.value)
    assert "parts/opening.mjml:4: words.fr.yaml" in str(error.value)


def test_a_language_that_does_not_speak_in_a_template_gives_way(own: Path):
    shutil.copy(SHIPPED / "words.en.yaml", own / "words.fr.yaml")
    change(own / "words.fr.yaml", "last-call:", "other:")
    change(own / "words.fr.yaml", 'subject: "Your cart at {shop}"', 'subject: "Votre panier"')
    templates = load(own)
    french = dataclasses.replace(sample("fr-FR"), shop_locale="de-DE")
    assert render(templates["remind"], french).subject == "Votre panier"
    assert "39,90\u00a0€" in render(templates["remind"], french).text
    assert render(templates["last-call"], french).language == "de"


MISTAKES = [
    pytest.param("remind.mjml", "<mj-body", "<mj-bdoy", "remind.mjml:3: unknown tag <mj-bdoy>; did you mean <mj-body>?",
                 id="a tag misspelt"),
    pytest.param("parts/closing.mjml", "<mj-column>", "<mj-column><script>x</script>",
                 "closing.mjml:2: unknown tag <script>", id="a script"),
    pytest.param("parts/closing.mjml", "<mj-column>", "<mj-column><mj-text><a onclick='x' href='https://x.example'>x</a></mj-text>",
                 "closing.mjml:2: onclick on <a>", id="a handler"),
    pytest.param("parts/closing.mjml", "<mj-column>", "<mj-column><mj-text><a href='javascript:x'>x</a></mj-text>",
                 "closing.mjml:2: href of <a> must be", id="a script in a link"),
    pytest.param("parts/closing.mjml", "</mj-column>", "", "closing.mjml:6: mismatched tag", id="a tag left open"),
    pytest.param("remind.mjml", "parts/cart.mjml", "parts/carts.mjml", "remind.mjml:6: there is no parts/carts.mjml",
                 id="a part that is not there"),
    pytest.param("remind.mjml", 'path="parts/cart.mjml"', 'path="/etc/passwd"', "remind.mjml: write it as <mj-include",
                 id="a file of the machine"),
    pytest.param("remind.mjml", 'path="parts/cart.mjml"', 'path="../../etc/passwd"',
                 "remind.mjml: write it as <mj-include", id="a way up to a file of the machine"),
    pytest.param("remind.mjml", "parts/cart.mjml", "parts/../../../etc/passwd.mjml",
                 "remind.mjml: write it as <mj-include", id="a way up from the parts"),
    pytest.param("remind.txt", "parts/cart.txt", "../../etc/passwd", "remind.txt:", id="a way up in the text"),
    pytest.param("remind.txt", "parts/cart.txt", "parts/carts.txt", "remind.txt:3: there is no parts/carts.txt",
                 id="a text part that is not there"),
    pytest.param("parts/closing.mjml", "words.closing", "words.closnig", "closing.mjml:3: words.de.yaml has no word",
                 id="a word misspelt"),
    pytest.param("parts/cart.txt", "cart.total_is", "cart.totl_is", 'cart.txt:10: unknown value "cart.totl_is',
                 id="a value misspelt"),
    pytest.param("parts/cart.txt", "{% endfor %}", "", "parts/cart.txt:", id="a loop left open"),
    pytest.param("parts/foot.txt", "{{ mail.unsubscribe_url }}", "", "remind.txt: does not show mail.unsubscribe_url",
                 id="no way out in the text"),
    pytest.param("parts/foot.mjml", "{{ mail.unsubscribe_url }}", "{{ shop.url }}",
                 "remind.mjml: does not show mail.unsubscribe_url", id="no way out in the HTML"),
    pytest.param("parts/closing.mjml", "<mj-column>", '<mj-column><mj-include path="parts/foot.mjml" />',
                 "closing.mjml: a part takes in no other part", id="a part in a part"),
    pytest.param("remind.mjml", "<mjml", "<!DOCTYPE a [<!ENTITY b 'c'>]><mjml", "remind.mjml:1: a document type",
                 id="entities"),
    pytest.param("parts/closing.mjml", "<mj-column>", "<mj-column>" + "<div>" * 70 + "</div>" * 70,
                 "closing.mjml:2: more than 60 tags within each other", id="a tower of tags"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "says"), MISTAKES)
def test_a_mistake_is_named_with_file_and_line(own: Path, file, old, new, says):
    change(own / file, old, new)
    with pytest.raises(TemplateError) as error:
        load(own)
    assert says in str(error.value)


def test_a_template_without_its_text_is_refused(own: Path):
    (own / "remind.mjml").rename(own / "hello.mjml")
    with pytest.raises(TemplateError, match=r"there is no hello.txt beside it"):
        load(own)


def test_a_file_that_is_no_text_is_refused(own: Path):
    (own / "remind.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(TemplateError, match=r"remind.txt: cannot be read"):
        load(own)
