"""Stories of the shop's own mailbox: reports are taken out of it, replies are seen and left where they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from daemon.post.imap import Mailbox, MailboxError, Place
from daemon.store import inbox
from tests.flow.test_post import WITH_BOUNCES, Post
from tests.mailbox import MailServer
from tests.reports import report_on

MAILBOX = """
    mailbox: {{host: 127.0.0.1, port: %d, tls: none, user: laden, password: geheim%s}}
    connection:"""
STRANGER = b"Return-Path: <bo@example.org>\r\nFrom: bo@example.org\r\nSubject: Wann?\r\n\r\nSeid ihr offen?\r\n"


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    made = MailServer()
    made.port = await made.start()
    yield made
    await made.close()


@pytest.fixture
def fetched(make_town: Any, make_buyer: Any, server: Any) -> Any:
    """A town whose shop has a mailbox, with further words about it."""

    async def make(words: str = "") -> Post:
        shops = WITH_BOUNCES.replace("\n    connection:", MAILBOX % (server.port, words))
        return Post(await make_town(shops), make_buyer)

    return make


def flags(server: MailServer) -> list[set[str]]:
    return [mail.flags for mail in server.folders["INBOX"].values()]


async def test_reports_are_marked_as_read_and_letters_are_left_alone(fetched, server):
    post = await fetched()
    message = await post.mail_to("ada")
    server.arrives(STRANGER)
    server.arrives(report_on(post.town.context, "postfix-unknown-user", post.town.shop_id, message))
    await post.town.passes(minutes=11)
    assert await post.states() == ["bounced"]
    assert flags(server) == [set(), {r"\Seen"}]
    assert await post.effects() == [f"message {message} came back: hard 5.1.1, not written to any more"]


async def test_a_reply_stops_the_mails_and_stays_unread_in_the_mailbox(fetched, server):
    post = await fetched(", handled: Reports")
    message = await post.mail_to("ada")
    server.arrives(report_on(post.town.context, "reply", post.town.shop_id, message))
    await post.town.passes(minutes=11)
    assert await post.town.ends() == {"replied": 1}
    assert flags(server) == [set()]
    assert await inbox.count_unread(post.town.context.pool, post.town.shop_id) == 1


@pytest.mark.parametrize("can", ["MOVE UIDPLUS", "UIDPLUS"])
async def test_reports_are_moved_to_a_folder_that_is_made_for_them(fetched, server, can):
    server.can = can
    post = await fetched(", handled: Reports Done")
    message = await post.mail_to("ada")
    server.arrives(report_on(post.town.context, "postfix-unknown-user", post.town.shop_id, message))
    await post.town.passes(minutes=11)
    assert len(server.folders["Reports Done"]) == 1
    assert server.folders["INBOX"] == {}


@pytest.mark.parametrize("at", ["LOGIN", "SELECT", "SEARCH", "HEADER", "BODY.PEEK[]", "STORE"])
async def test_a_mailbox_that_hangs_up_loses_nothing_and_tells_nothing_twice(fetched, server, at):
    post = await fetched()
    message = await post.mail_to("ada")
    server.arrives(report_on(post.town.context, "postfix-unknown-user", post.town.shop_id, message))
    server.drops_at = at
    await post.town.passes(minutes=11)
    await post.town.context.pool.execute("UPDATE work SET rest_until_real = NULL")
    await post.town.passes(minutes=11)
    assert await post.states() == ["bounced"]
    assert await post.events() == ["bounced"]
    assert server.drops_at == ""


async def test_mails_are_numbered_anew_and_none_counts_twice(fetched, server):
    post = await fetched()
    message = await post.mail_to("ada")
    server.arrives(report_on(post.town.context, "postfix-delayed", post.town.shop_id, message))
    await post.town.passes(minutes=11)
    server.validity["INBOX"] = 8
    server.folders["INBOX"] = {1: next(iter(server.folders["INBOX"].values()))}
    await post.town.passes(minutes=11)
    assert await post.events() == ["delayed"]
    [row] = await post.town.fetch("SELECT state FROM work WHERE name = 'mailbox'")
    assert row["state"] == {"INBOX": [8, 1]}


async def test_the_cursor_goes_on_where_it_was(fetched, server):
    post = await fetched()
    for _ in range(3):
        server.arrives(STRANGER)
    await post.town.passes(minutes=11)
    server.heard.clear()
    await post.town.passes(minutes=11)
    assert "UID FETCH" not in server.heard


async def test_what_was_old_at_the_first_look_is_never_read(fetched, server):
    for _ in range(3):
        server.arrives(STRANGER, old=True)
    post = await fetched()
    await post.town.passes(minutes=25)
    assert "UID FETCH" not in server.heard
    server.arrives(STRANGER)
    await post.town.passes(minutes=11)
    assert server.heard.count("UID FETCH") == 1


async def test_a_wrong_password_is_said_without_it(fetched, server):
    server.password = "another"
    post = await fetched()
    await post.town.passes(minutes=1)
    problem = await post.town.value("SELECT problem FROM work WHERE name = 'mailbox'")
    assert problem == "could not log in: the server refuses"


def test_a_server_that_is_not_there_is_said():
    with pytest.raises(MailboxError, match="could not connect"):
        Mailbox(Place("127.0.0.1", 1, "none", "laden", "geheim"))
