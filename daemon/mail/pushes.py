"""What a web push says: the words of its language with the cart's values, cut to what push services take."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import regex

from daemon.mail.context import MailContext
from daemon.mail.errors import MailError, TemplateError
from daemon.mail.formats import Formats, locale_of, tag_of
from daemon.mail.links import Link, Links, Tracking, web_url
from daemon.mail.plain import clean
from daemon.mail.render import cart_values, hosts, line_values, marks, said, spoken_locale
from daemon.mail.template import COMMON, SHIPPED
from daemon.mail.words import Language, Word, candidates, load_words

SECTION = "pushes"
WORDS = ("title", "body", "to_cart", "stop")
"""What a language says in a push; `glance-title` stands in for `title` where the step's template is glance."""
TITLE, BODY, LEAST = 80, 180, 24
"""Longest texts in graphemes, and the least that is left of the body before pictures go."""
MOST = 2500
"""Bytes of a payload: what bridges to Android take (2,744 with encryption) leaves no more for sure."""
LONGEST_URL = 1000
GRAPHEME = regex.compile(r"\X")


@dataclass(frozen=True, slots=True)
class RenderedPush:
    """A push's content. `links` belong into the link table before it leaves; none where links are plain."""

    parts: Mapping[str, str]
    """title, body, url, icon, image, to_cart, stop, stop_url, locale, direction; empty where there is none."""
    links: tuple[Link, ...]


def languages(own: Path) -> Mapping[str, Mapping[str, Word]]:
    """The words for pushes by language tag. Files of `own` stand in for shipped ones; while there is a mistake in them,
    as they were before, else as shipped."""
    files = sorted(own.glob("words.*.yaml")) if own.is_dir() else []
    try:
        key = tuple((str(file), (at := file.stat()).st_mtime_ns, at.st_size) for file in files)
        found = _read(str(own), key)
    except (OSError, TemplateError):
        return _good.get(str(own)) or _read("", ())
    _good[str(own)] = found
    return found


_good: dict[str, Mapping[str, Mapping[str, Word]]] = {}


@lru_cache(maxsize=16)
def _read(own: str, _: tuple[tuple[str, int, int], ...]) -> Mapping[str, Mapping[str, Word]]:
    found: dict[str, Language] = load_words([SHIPPED, *([Path(own)] if own else [])])
    return {tag: {**one.get(COMMON, {}), **one[SECTION]} for tag, one in found.items() if SECTION in one}


def render_push(
    spoken: Mapping[str, Mapping[str, Word]], template: str, context: MailContext, tracking: Tracking | None
) -> RenderedPush:
    """`tracking` only with the person's consent: without it the links are plain. Raises `MailError`, and
    `NothingToShow` for an empty cart."""
    tags = [tag for tag in (*candidates(context.locale, context.shop_locale), *sorted(spoken)) if tag in spoken]
    if not tags:
        raise MailError("there are no words for pushes in any language")
    language = tags[0]
    locale = spoken_locale(language, context)
    formats = Formats(tag_of(locale), context.zone, context.currency)
    medium = tuple((name, "webpush" if name == "utm_medium" else value) for name, value in marks(context))
    links = Links(hosts(context), medium, tracking)
    cart, lines = cart_values(context, formats, links), line_values(context, formats, Links(hosts(context), ()))
    own = spoken[language]
    voice = {word: own.get(f"{template}-{word}") or own[word] for word in WORDS if word in own}
    if missing := [word for word in WORDS if word not in voice]:
        raise MailError(f"words.{language}.yaml has no word {missing[0]} for pushes")
    words = said(voice, context, cart, lines[0]["name"], formats)
    mark = f"{said({'mark': own['rehearsal_mark']}, context, cart, '', formats)['mark']} " if context.rehearsal else ""
    parts = {
        "title": clean(mark + words["title"], 400),
        "body": clean(words["body"], 800),
        "url": cart["url"],
        "icon": picture(context.shop.logo_url),
        "image": next((url for line in lines if (url := picture(line["image_url"]))), ""),
        "to_cart": clean(words["to_cart"], 40),
        "stop": clean(words["stop"], 40),
        "stop_url": web_url(context.unsubscribe_url),
        "locale": (locale_of(language) or locale).language,
        "direction": locale.text_direction,
    }
    return RenderedPush(parts, tuple(links.table) if tracking else ())


def picture(url: str) -> str:
    """Browsers show pictures by https only; long addresses are not worth their bytes."""
    url = web_url(url)
    return url if url.startswith("https://") and len(url) <= LONGEST_URL // 2 else ""


def payload(parts: Mapping[str, str], tag: str, most: int = MOST) -> bytes:
    """The JSON that the service worker reads: at most so many bytes. First the picture goes, then the body gets
    shorter, then the icon goes. Raises `MailError` for what does not fit even so."""
    title = cut(parts["title"], TITLE)
    for image, icon, longest in ((1, 1, BODY), (0, 1, BODY), (0, 1, LEAST * 2), (0, 0, LEAST * 2), (0, 0, LEAST)):
        said = {
            "by": "tillbell",
            "title": title,
            "body": cut(parts["body"], longest),
            "tag": tag,
            "url": parts["url"],
            "lang": parts["locale"],
            "dir": parts["direction"],
            **({"image": parts["image"]} if image and parts["image"] else {}),
            **({"icon": parts["icon"]} if icon and parts["icon"] else {}),
            "actions": buttons(parts),
        }
        made = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
        if len(made) <= most:
            return made
    raise MailError(f"the push does not fit into {most} bytes: its addresses are too long")


def buttons(parts: Mapping[str, str]) -> Sequence[Mapping[str, str]]:
    """To the cart, and out of it all."""
    two = (("cart", parts["to_cart"], parts["url"]), ("stop", parts["stop"], parts["stop_url"]))
    return [{"action": action, "title": cut(title, 24), "url": url} for action, title, url in two if title and url]


def cut(text: str, most: int) -> str:
    """At most so many graphemes: no letter loses its accent, no emoji falls apart."""
    graphemes = GRAPHEME.findall(text)
    return text if len(graphemes) <= most else "".join(graphemes[: most - 1]).rstrip() + "…"
