"""The demo's story: the real tillbell on servers of its own, told twice the same, with nothing left behind."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

STORY = ("demo", "--once", "--json", "--shoppers", "30", "--hours", "30", "--seed", "3")
MINUTES = pytest.mark.timeout(420)


def environment(folder: Path) -> dict[str, str]:
    """Temporary files of the demo go to `folder`; a tillbell of this machine is none of its business."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TILLBELL_")}
    return {**inherited, "TMPDIR": str(folder), "TILLBELL_POLL_EVERY": "nonsense"}


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def told(folder: Path) -> dict[str, Any]:
    played = subprocess.run(
        [sys.executable, "-m", "daemon", *STORY],
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert played.returncode == 0, f"{played.stdout[-1000:]}\n{played.stderr[-2000:]}"
    story: dict[str, Any] = json.loads(played.stdout)
    story.pop("seconds")
    return story


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Not pytest's own: as root the servers run as another account, which cannot pass that one."""
    made = Path(tempfile.mkdtemp(prefix="tillbell-tests-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def story(folder: Path) -> dict[str, Any]:
    made = told(folder)
    assert left_in(folder) == [], "the demo leaves nothing behind"
    return made


@MINUTES
def test_it_ends_well(story: dict[str, Any]) -> None:
    """The books are clean, and mailbox, Twilio and push service took what tillbell says was taken, once."""
    assert story["findings"] == []
    assert story["counts"]["left"] > 20
    assert story["counts"]["mails"] > 12
    assert story["counts"]["held_out"] > 0
    assert story["counts"]["texts"] > 0
    assert story["counts"]["pushes"] > 0
    assert story["counts"]["notices"] > 0
    assert any(word == "clicked human" for word in story["hits"])
    assert story["ends"]["purchase"] > 0


@MINUTES
def test_nobody_who_may_not_be_written_to_got_a_mail(story: dict[str, Any]) -> None:
    mailed = {one["cart"] for one in story["shoppers"] if one["mails"]}
    steps = {one["cart"]: [step["state"] for step in one["steps"]] for one in story["recoveries"]}
    assert mailed <= steps.keys()
    assert not mailed & {one["cart"] for one in story["recoveries"] if one["held_out"]}


@MINUTES
def test_machines_are_taken_for_machines(story: dict[str, Any]) -> None:
    scanned = {one["cart"] for one in story["shoppers"] if any(deed == "scanned" for _, deed in one["deeds"])}
    assert scanned
    for one in story["recoveries"]:
        if one["cart"] in scanned:
            assert any("machine" in classes for step in one["steps"] for classes in step["hits"].values())
            assert one["end_reason"] != "unsubscribed" or "unsubscribed" in deeds(story, one["cart"])


def deeds(story: dict[str, Any], cart: str) -> set[str]:
    return {deed for one in story["shoppers"] if one["cart"] == cart for _, deed in one["deeds"]}


@MINUTES
def test_the_same_seed_tells_the_same_story_beside_a_busy_core(story: dict[str, Any], open_folder: Path) -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        again = told(open_folder)
    finally:
        busy.kill()
        busy.wait()
    assert again == story


@MINUTES
@pytest.mark.long
async def test_who_watches_reads_the_mails_until_they_leave(open_folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "daemon", "demo", "--shoppers", "8", "--hours", "3", "--speed", "2"),
        env=environment(open_folder),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    said = ""
    while not (found := re.search(r"stays open at (http://\S+)", said)):
        line = await process.stdout.readline()
        assert line, said
        said += line.decode()
    async with ClientSession() as reader, reader.get(f"{found[1]}/letters") as answer:
        letters = await answer.json()
    process.send_signal(signal.SIGINT)
    assert await process.wait() == 0, said
    assert "the books are clean" in said
    assert {letter["step"] for letter in letters} <= {"remind"}
    assert left_in(open_folder) == []
