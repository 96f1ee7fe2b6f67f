"""The mails as Chromium lays them out: nothing runs over the edge, everything can be read, by day and by night."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from daemon.mail import MailContext, load, render
from daemon.mail.sample import sample

pytestmark = pytest.mark.chromium
TEMPLATES = load()
CONTRAST = """() => {
  const linear = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = rgb => 0.2126 * linear(rgb[0]) + 0.7152 * linear(rgb[1]) + 0.0722 * linear(rgb[2]);
  const rgba = text => text.match(/[\\d.]+/g).map(Number);
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.offsetParent || getComputedStyle(element).opacity === "0") continue;
    const [a, b] = [light(rgba(getComputedStyle(element).color)), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push([walker.currentNode.data.trim(), ratio.toFixed(2)]);
  }
  return faint;
}"""


@pytest.fixture(scope="module")
def browser(needs_program: Callable[[str], str]) -> Iterator[Browser]:
    program = needs_program("chromium")
    with sync_playwright() as play:
        args = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = play.chromium.launch(executable_path=program, args=args, timeout=120_000)
        yield browser
        browser.close()


def opened(browser: Browser, name: str, context: MailContext, width: int, scheme: str = "light") -> Page:
    page = browser.new_page(viewport={"width": width, "height": 600}, color_scheme=scheme)  # type: ignore[arg-type]
    page.set_default_timeout(60_000)
    page.route("**/*", lambda route: route.abort())
    page.set_content(render(TEMPLATES[name], context).html)
    return page


def long_words(locale: str) -> MailContext:
    context = sample(locale, 9, rehearsal=True)
    lines = tuple(
        dataclasses.replace(line, name="Donaudampfschifffahrtsgesellschaftskapitänsmützenhalter" * 2, in_stock=False)
        for line in context.lines
    )
    return dataclasses.replace(context, lines=lines, total_is_estimate=True)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_nothing_runs_over_the_edge(browser: Browser, name: str):
    for context in (sample("de-DE", 3), long_words("de-DE")):
        page = opened(browser, name, context, 320)
        for width in (320, 375, 700):
            page.set_viewport_size({"width": width, "height": 600})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("accent", ["#1f6f54", "#f2b705", "#777777", "#000000", "#ffffff"])
def test_everything_can_be_read(browser: Browser, scheme: str, accent: str):
    context = long_words("en-GB")
    face = dataclasses.replace(context.shop, accent=accent)
    page = opened(browser, "doubts", dataclasses.replace(context, shop=face), 700, scheme)
    assert page.evaluate(CONTRAST) == []
    page.close()


def test_the_mail_is_600_wide_on_a_desk(browser: Browser):
    page = opened(browser, "remind", sample("en"), 1000)
    assert page.locator(".card").first.bounding_box()["width"] == 600  # type: ignore[index]
    page.close()


def test_a_thumb_finds_the_button(browser: Browser):
    page = opened(browser, "remind", sample("en"), 375)
    box = page.get_by_role("link", name="Back to my cart").bounding_box()
    assert box is not None
    assert box["height"] >= 44
    assert box["width"] >= 300
    page.close()
