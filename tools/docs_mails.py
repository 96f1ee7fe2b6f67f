"""Makes the pictures of the mails in docs/pictures/mails: `python tools/docs_mails.py`. Needs Debian's Chromium.

The browser gets no network: the pages come from memory, and the products' pictures are drawn here.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Route, sync_playwright

from daemon.mail import MailContext, Rendered, load, render
from daemon.mail.sample import sample, tracking

CHROMIUM = "/usr/bin/chromium"
FOLDER = Path(__file__).parents[1] / "docs" / "pictures" / "mails"
WIDE, NARROW = 700, 375
LONG = "Handgewebte Tischdecke aus Leinen mit Hohlsaum, 160 × 320 cm"
"""60 letters."""
HUES = (96, 210, 32, 46, 340, 190, 18, 60, 40, 28, 200, 12)
SHAPES = (
    '<path d="M50 34h44l10 76H40z" {f}/><path d="M58 34q14 26 28 0" {s}/>',
    '<path d="M52 40h38l8 70H44z" {f}/><path d="M98 52q24 6 4 34" {s}/><path d="M52 40l-10-8" {s}/>',
    '<rect x="34" y="44" width="76" height="54" rx="8" {f}/><circle cx="98" cy="71" r="5" fill="#fff"/>',
    '<rect x="56" y="54" width="32" height="58" rx="4" {f}/><path d="M72 54V44" {s}/>',
    '<path d="M36 62q36-40 72 0q-36 40-72 0" {f}/><path d="M72 62l-20 50M72 62l20 50" {s}/>',
    '<path d="M32 58h80q-4 48-40 48t-40-48z" {f}/>',
    '<path d="M42 72q30-44 60 0v36H42z" {f}/><path d="M44 70q28-60 56 0" {s}/>',
    '<rect x="34" y="40" width="76" height="66" rx="6" {f}/><path d="M34 62h76M34 84h76" stroke="#fff"/>',
    '<path d="M58 34v44q0 22 22 22q16 0 18-16" {s}/>',
    '<rect x="28" y="54" width="88" height="40" rx="4" {f}/>',
    '<path d="M60 32h24v22q22 12 14 42q-4 14-26 14t-26-14q-8-30 14-42z" {f}/>',
    '<path d="M36 94q0-24 34-22q24 0 38 10v18H42q-6 0-6-6z" {f}/>',
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture. `file` is its name without the ending."""

    file: str
    template: str
    context: MailContext
    width: int = NARROW
    scheme: Literal["light", "dark"] = "light"
    images: bool = True


def shots() -> Iterator[Shot]:
    for template in ("remind", "doubts", "last-call"):
        yield Shot(f"{template}-en-wide", template, sample("en-GB", 3), WIDE)
        yield Shot(f"{template}-de-narrow", template, sample("de-DE", 3))
    yield Shot("remind-de-wide-dark", "remind", sample("de-DE", 3), WIDE, "dark")
    yield Shot("remind-en-narrow-dark", "remind", sample("en-GB", 3), NARROW, "dark")
    yield Shot("remind-en-wide-no-images", "remind", sample("en-GB", 3), WIDE, images=False)
    yield Shot("remind-de-narrow-no-images", "remind", sample("de-DE", 3), NARROW, images=False)
    yield Shot("remind-de-wide-one-line-long-name", "remind", named(sample("de-DE", 1), LONG), WIDE)
    yield Shot("remind-de-narrow-one-line-long-name", "remind", named(sample("de-DE", 1), LONG))
    yield Shot("remind-en-wide-12-lines", "remind", sample("en-GB", 12), WIDE)
    yield Shot("remind-de-narrow-12-lines", "remind", sample("de-DE", 12))
    yield Shot(
        "last-call-en-wide-rehearsal-yellow-brand", "last-call", yellow(sample("en-GB", 1, rehearsal=True)), WIDE
    )


def named(context: MailContext, name: str) -> MailContext:
    lines = tuple(dataclasses.replace(line, name=name) for line in context.lines)
    return dataclasses.replace(context, lines=lines, total_is_estimate=True)


def yellow(context: MailContext) -> MailContext:
    face = dataclasses.replace(context.shop, accent="#f2b705", logo_url=f"{context.shop.url}/images/logo.png")
    return dataclasses.replace(context, shop=face)


LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="150" height="36" viewBox="0 0 150 36"><circle cx="18" cy="18" '
    'r="17" fill="#f2b705"/><path d="M18 7q11 9 0 22q-11-13 0-22" fill="#16181d"/><text x="44" y="25" '
    'font-family="serif" font-size="22" fill="#7d828a">Lindenhof</text></svg>'
)


def drawn(name: str) -> str:
    """The shop's logo, or a product's picture: a shape in one colour."""
    return LOGO if name == "logo" else product(int(name))


def product(number: int) -> str:
    hue = HUES[number % len(HUES)]
    fill = f'fill="hsl({hue} 32% 52%)"'
    stroke = f'fill="none" stroke="hsl({hue} 32% 40%)" stroke-width="5" stroke-linecap="round"'
    drawn = SHAPES[number % len(SHAPES)].format(f=fill, s=stroke)
    ground = f'<rect width="144" height="144" fill="hsl({hue} 30% 90%)"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="144" height="144" viewBox="0 0 144 144">{ground}{drawn}</svg>'
    )


def answered(route: Route, images: bool) -> None:
    address = route.request.url
    if images and "/images/" in address:
        route.fulfill(body=drawn(address.rsplit("/", 1)[1].removesuffix(".png")), content_type="image/svg+xml")
    else:
        route.abort()


def photograph(browser: Browser, shot: Shot, mail: Rendered) -> Path:
    file = FOLDER / f"{shot.file}.png"
    page = browser.new_page(viewport={"width": shot.width, "height": 400}, color_scheme=shot.scheme)
    page.route("**/*", lambda route: answered(route, shot.images))
    page.set_content(mail.html, wait_until="load")
    page.screenshot(path=str(file), full_page=True)
    page.close()
    return file


def main() -> int:
    if not Path(CHROMIUM).exists():
        print(f"{CHROMIUM} is not there; apt-get install chromium fonts-liberation", file=sys.stderr)
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    templates = load()
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=CHROMIUM, args=[*root, "--force-color-profile=srgb", "--disable-lcd-text"]
        )
        files = [
            photograph(browser, shot, render(templates[shot.template], shot.context, tracking())) for shot in shots()
        ]
        browser.close()
    print(f"{len(files)} pictures, {sum(file.stat().st_size for file in files) // 1024} KB, in {FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
