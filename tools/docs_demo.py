"""Makes docs/pictures/demo.svg and mailbox.png: `python tools/docs_demo.py`. Plays the demo's first day and a half.

The browser needs Debian's Chromium; it sees this machine only. The story is the same each time, its pictures too.
"""

from __future__ import annotations

import asyncio
import io
import re
from datetime import timedelta
from pathlib import Path

from playwright.async_api import async_playwright
from rich.console import Console
from rich.terminal_theme import TerminalTheme

from daemon.demo.play import Plot, Stage, play, staged
from daemon.demo.view import Watch

CHROMIUM = "/usr/bin/chromium"
FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
WIDTH, HEIGHT = 118, 30
SHOWN = timedelta(hours=33)
"""The second afternoon: people have read their second mails."""
MAILBOX, SHOP = "http://127.0.0.1:8025", "http://127.0.0.1:8090"
"""Shown instead of the ports of the day."""
NIGHT = TerminalTheme(
    (22, 25, 30),
    (214, 219, 226),
    [(40, 44, 52), (224, 108, 117), (130, 190, 130), (224, 182, 105),
     (97, 160, 239), (198, 120, 221), (86, 182, 194), (214, 219, 226)],
    [(112, 120, 132), (240, 130, 138), (152, 214, 152), (240, 200, 130),
     (130, 184, 250), (214, 150, 234), (120, 210, 222), (255, 255, 255)],
)  # fmt: skip
FONTS = "ui-monospace, 'SF Mono', 'Cascadia Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def drawn(watch: Watch) -> str:
    """The terminal as an SVG that fetches nothing, fonts included."""
    console = Console(
        record=True, width=WIDTH, height=HEIGHT, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(watch)
    svg = console.export_svg(title="tillbell demo", theme=NIGHT, unique_id="demo")
    svg = re.sub(r"@font-face\s*\{[^}]*\}", "", svg)
    svg = re.sub(r"font-family: (?:Fira Code|arial)[^;]*;", f"font-family: {FONTS};", svg)
    return "\n".join(line.rstrip() for line in svg.splitlines() if line.strip()) + "\n"


async def photographed(stage: Stage) -> None:
    """The mailbox with one of its mails open."""
    async with async_playwright() as player:
        browser = await player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 1240, "height": 860}, device_scale_factor=1)
        await page.goto(stage.reading_url)
        await page.locator("#list li", has_text="Your cart at").first.click()
        await page.frame_locator("#frame").locator("img").last.wait_for(state="attached")
        await page.wait_for_load_state("networkidle")
        await page.screenshot(path=FOLDER / "mailbox.png")
        await browser.close()


async def main() -> None:
    watch = Watch()
    async with staged(Plot(seed=1), watch) as stage:
        watch.stage = stage
        await play(stage, stage.town.start + SHOWN)
        await photographed(stage)
        stage.reading_url, stage.shop.url = MAILBOX, SHOP
        (FOLDER / "demo.svg").write_text(drawn(watch), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
