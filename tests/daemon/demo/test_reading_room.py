"""The page in which the demo's mails are read shows them, and lets nothing in them act."""

from collections.abc import AsyncIterator
from email.message import EmailMessage

import pytest
from aiohttp import ClientSession

from daemon.demo.mailbox import Mailbox
from daemon.demo.reading_room import ReadingRoom


def letter() -> bytes:
    mail = EmailMessage()
    mail["Subject"] = "<b>Ihr Warenkorb</b>"
    mail["From"] = "Laden <laden@shop.example>"
    mail["Feedback-ID"] = "remind:cart:shop:tillbell"
    mail.set_content("Hallo")
    mail.add_alternative("<html><head></head><body><script>alert(1)</script>Hallo</body></html>", subtype="html")
    return mail.as_bytes()


@pytest.fixture
async def room() -> AsyncIterator[ReadingRoom]:
    mailbox = Mailbox()
    await mailbox.keep("b@shop.example", "ada@post.example", letter())
    await mailbox.keep("b@shop.example", "bea@post.example", letter())
    async with ReadingRoom(mailbox) as opened:
        yield opened


async def test_the_list_goes_on_where_it_stopped(room: ReadingRoom) -> None:
    async with ClientSession() as reader, reader.get(f"{room.url}/letters?after=1") as answer:
        (told,) = await answer.json()
    assert (told["number"], told["to"], told["step"]) == (2, "bea@post.example", "remind")
    assert told["subject"] == "<b>Ihr Warenkorb</b>"


async def test_a_letter_shows_its_text_and_its_head(room: ReadingRoom) -> None:
    async with ClientSession() as reader, reader.get(f"{room.url}/letters/1") as answer:
        told = await answer.json()
    assert told["text"].strip() == "Hallo"
    assert ["Feedback-ID", "remind:cart:shop:tillbell"] in told["head"]


async def test_what_came_by_mail_runs_nothing(room: ReadingRoom) -> None:
    async with ClientSession() as reader, reader.get(f"{room.url}/letters/1/html") as answer:
        rules = answer.headers["Content-Security-Policy"]
        assert '<base target="_blank">' in await answer.text()
    assert "default-src 'none'" in rules
    assert "sandbox" in rules
    assert "allow-scripts" not in rules


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/", 200, id="the page"),
        pytest.param("/reading.js", 200, id="its script"),
        pytest.param("/letters/0", 404, id="no letter before the first"),
        pytest.param("/letters/3", 404, id="no letter after the last"),
        pytest.param("/letters/x", 404, id="no letter of that name"),
    ],
)
async def test_what_is_there(room: ReadingRoom, path: str, status: int) -> None:
    async with ClientSession() as reader, reader.get(room.url + path) as answer:
        assert answer.status == status
