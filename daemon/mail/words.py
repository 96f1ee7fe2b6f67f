"""The words of the mails, as data: one file for each language, read once, said with the values of one mail."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from babel import Locale
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from daemon.mail.errors import Finding, TemplateError, named
from daemon.mail.formats import locale_of
from rules.texts import PLACES as TEXT_PLACES

PLACES = frozenset(("shop", "name", "count", "more", "total", "cart_date", "reason_date", "first_line"))
"""What may stand in braces inside a word."""
TEXTS = "texts"
"""The section with what text messages say: it has places of its own."""
COUNTS = frozenset(("count", "more"))
CATEGORIES = frozenset(("zero", "one", "two", "few", "many", "other"))
FILE = re.compile(r"words\.([A-Za-z0-9-]{2,35})\.yaml")
LARGEST = 256 * 1024

Parts = tuple[tuple[str, str], ...]
"""(text before the place, name of the place or empty) …"""


@dataclass(frozen=True, slots=True)
class Word:
    """One sentence of one language. `forms` by plural category; a sentence without plural has only `other`."""

    forms: Mapping[str, Parts]
    by: str = "count"
    """The number that decides the plural."""
    always: str = field(init=False, compare=False)
    """What it says whatever the values are; empty where that depends on them."""

    def __post_init__(self) -> None:
        form = self.forms.get("other", ()) if len(self.forms) == 1 else ()
        fixed = all(not place for _, place in form)
        object.__setattr__(self, "always", "".join(text for text, _ in form) if fixed else "")

    def say(self, values: Mapping[str, str], counts: Mapping[str, int], plural: Callable[[int], str]) -> str:
        """The values are put in as they are: whoever prints into HTML escapes the whole."""
        if self.always:
            return self.always
        form = self.forms["other"] if len(self.forms) == 1 else self.chosen(plural(counts[self.by]))
        return "".join([text + values[place] if place else text for text, place in form])

    def chosen(self, category: str) -> Parts:
        return self.forms.get(category) or self.forms["other"]


Section = Mapping[str, Word]
Language = Mapping[str, Section]


def load_words(folders: Sequence[Path]) -> dict[str, Language]:
    """By language tag. A later folder's words stand in for an earlier one's, word by word; a region's file
    (`words.de-AT.yaml`) need only hold what differs from its language's. Raises `TemplateError`."""
    findings: list[Finding] = []
    read: dict[str, dict[str, dict[str, Word]]] = {}
    for file, tag in word_files(folders):
        locale = locale_of(tag)
        if locale is None:
            findings.append(Finding(named(file), 0, f"{tag} is no language; name it as in words.de.yaml"))
            continue
        merge(read.setdefault(tag, {}), sections(file, locale, findings))
    if findings:
        raise TemplateError(findings)
    for tag in sorted(read):
        base = read.get(tag.split("-")[0])
        if base is not None and base is not read[tag]:
            own, read[tag] = read[tag], {section: dict(words) for section, words in base.items()}
            merge(read[tag], own)
    return dict(read)


def word_files(folders: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    for folder in folders:
        for file in sorted(folder.glob("words.*.yaml")):
            match = FILE.fullmatch(file.name)
            yield file, match[1] if match else file.name


def merge(into: dict[str, dict[str, Word]], more: Mapping[str, Mapping[str, Word]]) -> None:
    for section, words in more.items():
        into.setdefault(section, {}).update(words)


def sections(file: Path, locale: Locale, findings: list[Finding]) -> dict[str, dict[str, Word]]:
    found: dict[str, dict[str, Word]] = {}
    for section, words, line in entries(parsed(file, findings)):
        if not isinstance(words, CommentedMap):
            findings.append(Finding(named(file), line, f"{section} must hold words"))
            continue
        for name, value, at in entries(words):
            try:
                places = TEXT_PLACES if section == TEXTS else PLACES
                found.setdefault(section, {})[name] = word(value, locale, places)
            except ValueError as error:
                findings.append(Finding(named(file), at, f"{section}.{name}: {error}"))
    return found


def parsed(file: Path, findings: list[Finding]) -> CommentedMap:
    try:
        text = file.read_text(encoding="utf-8")
        if len(text) > LARGEST:
            raise ValueError("larger than 256 KB")
        known = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        findings.append(Finding(named(file), line, str(error.problem or "not YAML")))
    except (YAMLError, ValueError, OSError, RecursionError) as error:
        findings.append(Finding(named(file), 0, str(error)))
    else:
        if isinstance(known, CommentedMap):
            return known
        findings.append(Finding(named(file), 0, "must be sections of words"))
    return CommentedMap()


def entries(known: CommentedMap) -> Iterator[tuple[str, object, int]]:
    for key, value in known.items():
        yield str(key), value, known.lc.key(key)[0] + 1


def word(value: object, locale: Locale, places: frozenset[str] = PLACES) -> Word:
    """A sentence, or a mapping of plural categories with the number that decides (`by`, else count)."""
    if isinstance(value, str):
        return Word({"other": parts(value, places)})
    if not isinstance(value, CommentedMap):
        raise ValueError("must be a text; put it in quotes")
    forms = {str(key): text for key, text in value.items() if key != "by"}
    by = value.get("by", "count")
    needed = set(locale.plural_form.tags) | {"other"}
    if by not in COUNTS:
        raise ValueError(f"the plural goes by one of {', '.join(sorted(COUNTS))}, not by {by}")
    if unknown := set(forms) - CATEGORIES:
        raise ValueError(f"{min(unknown)} is no plural form; write {', '.join(sorted(needed))}")
    if "other" not in forms or not all(isinstance(text, str) for text in forms.values()):
        raise ValueError("needs a text for each plural form, at least for `other`")
    return Word({form: parts(text, places) for form, text in forms.items()}, by)


def parts(text: str, places: frozenset[str] = PLACES) -> Parts:
    """Only plain places: `{shop}`. Attributes, indexes and format codes are refused."""
    split: list[tuple[str, str]] = []
    for before, place, spec, conversion in string.Formatter().parse(" ".join(text.split())):
        if place is not None and (place not in places or spec or conversion):
            raise ValueError(f"{{{place}}} means nothing here; there are {', '.join(sorted(places))}")
        split.append((before, place or ""))
    return tuple(split)


@lru_cache(maxsize=1024)
def candidates(locale: str, shop_locale: str) -> tuple[str, ...]:
    """Tags to look for, best first: the person's locale, its language, the shop's locale, its language, English."""
    return tuple(dict.fromkeys((*both(locale), *both(shop_locale), "en")))


def both(tag: str) -> list[str]:
    locale = locale_of(tag)
    if locale is None:
        return []
    return [f"{locale.language}-{locale.territory}", locale.language] if locale.territory else [locale.language]
