"""The demo's mailbox takes what a sender of mail may send, and counts it."""

import asyncio
import smtplib
from collections.abc import AsyncIterator
from email.message import EmailMessage

import pytest

from daemon.demo.mailbox import Mailbox

HTML = """<p><a href="http://shop.example/cart"><b>to the cart</b></a> <a href="http://t.example/u/token">no more</a>
<a href="http://shop.example/" aria-hidden="true" tabindex="-1">.</a><img src="http://t.example/o/token.gif"></p>"""


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with Mailbox() as opened:
        yield opened


def letter(message_id: str = "<1@shop.example>") -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"] = "Schöne Grüße"
    mail["Message-ID"] = message_id
    mail["Feedback-ID"] = "remind:default:main:tillbell"
    mail["List-Unsubscribe"] = "<http://t.example/u/token>"
    mail.set_content("Hallo\n.\n..zwei Punkte\n")
    mail.add_alternative(HTML, subtype="html")
    return mail


async def said(mailbox: Mailbox, *commands: str) -> list[str]:
    """Everything is written at once, as RFC 2920 allows; the first line of each reply."""
    reader, writer = await asyncio.open_connection("127.0.0.1", mailbox.port)
    writer.write("".join(f"{command}\r\n" for command in commands).encode())
    writer.write_eof()
    replies = (await reader.read()).decode().splitlines()
    writer.close()
    await writer.wait_closed()
    return [line for line in replies if line[3] == " "]


async def test_a_mail_arrives_as_it_was_sent(mailbox: Mailbox) -> None:
    def send() -> None:
        with smtplib.SMTP("127.0.0.1", mailbox.port) as client:
            client.send_message(letter(), "b+1@shop.example", ["ada@post.example"])

    await asyncio.to_thread(send)
    (got,) = await mailbox.wait_for("ADA@post.example")
    assert (got.sender, got.subject, got.step) == ("b+1@shop.example", "Schöne Grüße", "remind")
    assert got.text == "Hallo\n.\n..zwei Punkte\n"
    assert got.unsubscribe_url == "http://t.example/u/token"
    assert got.message_id == "1@shop.example"


async def test_its_links_are_told_apart(mailbox: Mailbox) -> None:
    await mailbox.keep("b@shop.example", "ada@post.example", letter().as_bytes())
    found = mailbox.letters[0].found
    assert found.links == ("http://shop.example/cart",)
    assert found.hidden == ("http://shop.example/",)
    assert found.pictures == ("http://t.example/o/token.gif",)


async def test_commands_may_come_all_at_once(mailbox: Mailbox) -> None:
    replies = await said(
        mailbox,
        "EHLO here",
        "MAIL FROM:<a@shop.example> BODY=8BITMIME SIZE=20",
        "RCPT TO:<ada@post.example>",
        "RCPT TO:<bea@post.example> NOTIFY=FAILURE",
        "DATA",
        "Subject: x",
        "",
        "..dot",
        ".",
        "MAIL FROM:<>",
        "RSET",
        "QUIT",
    )
    assert [reply[:3] for reply in replies] == ["220", "250", "250", "250", "250", "354", "250", "250", "250", "221"]
    assert [one.recipient for one in mailbox.letters] == ["ada@post.example", "bea@post.example"]
    assert mailbox.letters[0].octets == b"Subject: x\r\n\r\n.dot\r\n"


async def test_a_mail_without_its_final_dot_did_not_arrive(mailbox: Mailbox) -> None:
    await said(mailbox, "EHLO here", "MAIL FROM:<a@b.example>", "RCPT TO:<ada@post.example>", "DATA", "Subject: x")
    assert mailbox.letters == []


@pytest.mark.parametrize(
    ("commands", "reply"),
    [
        pytest.param(["MAIL FROM:<a@b.example>"], "503", id="no greeting, no mail"),
        pytest.param(["EHLO x", "RCPT TO:<a@b.example>"], "503", id="no sender, no recipient"),
        pytest.param(["EHLO x", "MAIL FROM:<a@b.example>", "DATA"], "503", id="no recipient, no text"),
        pytest.param(["EHLO x", "MAIL FROM:<a@b.example>", "MAIL FROM:<a@b.example>"], "503", id="one mail at a time"),
        pytest.param(["EHLO x", "MAIL FROM:<a@b.example> SIZE=99999999"], "552", id="too large a mail"),
        pytest.param(["EHLO x", "MAIL FROM a@b.example"], "501", id="an address without its brackets"),
        pytest.param(["EHLO x", "MAIL FROM:<a@b.example>", "RCPT TO:<>"], "501", id="nobody to write to"),
        pytest.param(["EHLO x", "MAIL FROM:<a@b.example>", "RCPT TO:<gone@b.example>"], "550", id="a dead address"),
        pytest.param(["STARTTLS"], "500", id="what it cannot do"),
    ],
)
async def test_what_it_refuses(mailbox: Mailbox, commands: list[str], reply: str) -> None:
    mailbox.dead.add("gone@b.example")
    assert (await said(mailbox, *commands))[-1][:3] == reply
    assert mailbox.letters == []


async def test_the_same_mail_twice_is_counted(mailbox: Mailbox) -> None:
    for message_id in ("<1@shop.example>", "<2@shop.example>", "<1@shop.example>"):
        await mailbox.keep("b@shop.example", "ada@post.example", letter(message_id).as_bytes())
    assert mailbox.duplicates == {("1@shop.example", "ada@post.example"): 2}


async def test_whoever_waits_in_vain_is_told(mailbox: Mailbox) -> None:
    with pytest.raises(TimeoutError):
        await mailbox.wait_for("ada@post.example", within=0.01)
