"""Text messages from their words and the cart's values. Pure: the same values give the same text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from channels.segments import Length, measured, plain, shortened, signs_of
from daemon.mail import words
from daemon.mail.errors import MailError
from daemon.mail.formats import Formats, locale_of, tag_of
from daemon.mail.plain import clean, first_name
from daemon.mail.template import SHIPPED
from daemon.mail.words import TEXTS, Word, candidates, parts
from rules.texts import PLACES

ANY = "any"
"""What a step says for which there are no words of its own."""
WAYS_OUT = ("stop_answer", "stop_link")
NAME, FIRST_LINE = 30, 50
"""Longest values, in signs; both are shortened further where the text would not fit."""
STEP = 4

Voices = Mapping[str, Mapping[str, Word]]
"""What texts say, by language tag."""


@dataclass(frozen=True, slots=True)
class TextContext:
    """All that one text is made of. `way_out`: a link, where nobody can answer the sender."""

    shop: str
    link: str
    way_out: str
    name: str
    first_line: str
    count: int
    total: Decimal | None
    currency: str
    locale: str
    shop_locale: str
    zone: str = "UTC"
    changed_at: datetime | None = None
    rehearsal: bool = False


@dataclass(frozen=True, slots=True)
class RenderedText:
    body: str
    language: str
    length: Length


def load_voices(own: Path | None = None) -> Voices:
    """The shipped words, and the operator's own over them. Raises `TemplateError` with every mistake."""
    folders = [folder for folder in (SHIPPED, own) if folder is not None and folder.is_dir()]
    return {tag: language[TEXTS] for tag, language in words.load_words(folders).items() if TEXTS in language}


def render_text(voices: Voices, name: str, own: Mapping[str, str], context: TextContext, most: int) -> RenderedText:
    """`own` are the step's words, which count before those of the files. What is long is shortened until it takes at
    most so many parts. Raises `MailError` where even that is not enough."""
    language, word, way_out = _voice(voices, name, own, context)
    mark = plain(word_of(voices, language, "rehearsal")) + " " if context.rehearsal else ""
    first, person = plain(clean(context.first_line, 200)), plain(first_name(context.name))
    longest = {"first_line": FIRST_LINE, "name": NAME}
    while True:
        fitted = replace(
            context, first_line=shortened(first, longest["first_line"]), name=shortened(person, longest["name"])
        )
        body = mark + _said(word, way_out, fitted, language)
        length = measured(body)
        if length.segments <= most:
            return RenderedText(body, language, length)
        signs = {"first_line": signs_of(fitted.first_line), "name": signs_of(fitted.name)}
        which = max(signs, key=lambda one: signs[one])
        if not signs[which]:
            raise MailError(f"the text takes {length.segments} parts ({length.encoding}), and {most} are allowed")
        longest[which] = max(0, signs[which] - STEP)


def too_long(voices: Voices, name: str, own: Mapping[str, str], context: TextContext, most: int) -> str:
    """In which languages a text cannot fit, whatever is shortened: a sentence; empty: it fits in all."""
    found = []
    for language in sorted({tag or context.shop_locale for tag in own} if own else voices):
        try:
            render_text(voices, name, own, replace(context, locale=language), most)
        except MailError as error:
            found.append(f"{language}: {error}")
    return "; ".join(found)


def word_of(voices: Voices, language: str, name: str) -> str:
    """A word without places, such as the mark of a rehearsal."""
    voice = _known(voices, language)
    return voice[name].say({}, {}, str) if name in voice else ""


def _known(voices: Voices, language: str) -> Mapping[str, Word]:
    return next((voices[tag] for tag in candidates(language, "") if tag in voices), {})


def _voice(voices: Voices, name: str, own: Mapping[str, str], context: TextContext) -> tuple[str, Word, Word]:
    """The language, what is said in it, and the way out in the same language, else in English."""
    tags = candidates(context.locale, context.shop_locale)
    if own:
        language = next((tag for tag in tags if tag in own), "" if "" in own else min(own))
        word = Word({"other": parts(own[language], PLACES)})
        language = language or next((tag for tag in tags if tag in voices), "en")
    else:
        language = next((tag for tag in (*tags, *sorted(voices)) if tag in voices and _has(voices[tag], name)), "")
        if not language:
            raise MailError(f"no words.<language>.yaml says {name} in its section {TEXTS}")
        word = voices[language].get(name) or voices[language][ANY]
    way_out = _known(voices, language).get(WAYS_OUT[bool(context.way_out)])
    if way_out is None:
        raise MailError(f"no words.{language}.yaml says {WAYS_OUT[bool(context.way_out)]} in its section {TEXTS}")
    return language, word, way_out


def _has(voice: Mapping[str, Word], name: str) -> bool:
    return name in voice or ANY in voice


def _said(word: Word, way_out: Word, context: TextContext, language: str) -> str:
    spoken = next((one for tag in (context.locale, context.shop_locale) if (one := locale_of(tag))
                   and one.language == language.partition("-")[0]), None) or locale_of(language)  # fmt: skip
    formats = Formats(tag_of(spoken) if spoken else "en", context.zone, context.currency)
    plural: Callable[[int], str] = spoken.plural_form if spoken else str
    values = {
        "shop": clean(context.shop, 40),
        "name": context.name,
        "first_line": context.first_line,
        "count": formats.number(Decimal(context.count)),
        "total": formats.money(context.total),
        "link": context.link,
    }
    counts = {"count": context.count, "more": 0}
    stop = way_out.say({**values, "link": context.way_out}, counts, plural)
    return plain(word.say({**values, "stop": stop}, counts, plural))
