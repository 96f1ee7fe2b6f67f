"""Stories of the shop's own mailbox: reports are taken out of it, replies are seen and left where they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from daemon.doctor.post import post as post_is_read
from daemon.flow import mailbox
from daemon.post.imap import Mailbox, MailboxError, Place
from daemon.store import inbox
from tests.daemon.conftest import beside, own_logging
from tests.flow.test_post import WITH_BOUNCES, Post
from tests.mailbox import MailServer
from tests.reports import report_on

__all__ = ["beside", "own_logging"]

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


@pytest.mark.long
async def test_a_report_of_ten_megabytes_is_read_by_its_beginning(fetched, server):
    post = await fetched()
    message = await post.mail_to("ada")
    server.arrives(report_on(post.town.context, "huge", post.town.shop_id, message))
    await post.town.passes(minutes=11)
    assert await post.states() == ["bounced"]
    assert await post.suppressed() == [("email", "bounced")]


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


async def looks(post: Post, times: int = 1) -> None:
    """The mailbox is looked into so often, whatever rest it was given; by nobody else meanwhile."""
    town = post.town
    later = await town.now() + timedelta(days=2000)
    for _ in range(times):
        await town.context.pool.execute(
            "UPDATE work SET rest_until_real = NULL, due_at = $1 WHERE name = 'mailbox'", later
        )
        await mailbox.look(town.context, town.shop_id, later)
        await town.settles()


async def mailbox_of(post: Post) -> Any:
    return (await post.town.fetch("SELECT state, problem FROM work WHERE name = 'mailbox'"))[0]


@pytest.mark.parametrize("fault", ["no", "drops"])
async def test_a_mail_that_cannot_be_fetched_holds_up_the_others_five_times_and_no_longer(fetched, server, fault):
    post = await fetched()
    ada, bob = await post.mail_to("ada"), await post.mail_to("bob")
    context, shop_id = post.town.context, post.town.shop_id
    server.arrives(report_on(context, "postfix-unknown-user", shop_id, ada))
    broken = server.arrives(STRANGER)
    server.spoilt[broken] = fault
    server.arrives(report_on(context, "postfix-unknown-user", shop_id, bob))
    await looks(post)
    assert await post.states() == ["bounced", "accepted"]
    row = await mailbox_of(post)
    assert row["problem"].startswith(f"mail {broken} of INBOX: could not fetch: ")
    assert row["state"] == {"INBOX": [7, broken - 1, {str(broken): 1}, {}]}
    await looks(post, 4)
    assert await post.states() == ["bounced", "accepted"]
    await looks(post)
    assert await post.states() == ["bounced", "bounced"]
    row = await mailbox_of(post)
    assert (row["problem"], row["state"]["INBOX"][:3]) == (None, [7, broken + 1, {}])
    assert list(row["state"]["INBOX"][3]) == [str(broken)]


async def test_what_was_stepped_over_is_named_and_read_as_soon_as_it_can_be(fetched, server, beside):
    post = await fetched()
    message = await post.mail_to("ada")
    number = server.arrives(report_on(post.town.context, "postfix-unknown-user", post.town.shop_id, message))
    server.spoilt[number] = "no"
    await looks(post, 6)
    said = f"shop main: mailbox: INBOX: the mail with the UID {number} could not be fetched or read"
    status = await beside(post.town)("status")
    assert (status.code, said in status.out) == (1, True)
    assert said in [one.text for one in await post_is_read(post.town.context, await post.town.now())]
    server.spoilt.clear()
    await looks(post)
    assert await post.states() == ["accepted"], "it is not asked for again within the hour"
    await post.town.context.pool.execute(
        "UPDATE work SET state = jsonb_set(state, $1, to_jsonb((now() - interval '1 second')::text)) "
        "WHERE name = 'mailbox'", ["INBOX", "3", str(number)],
    )  # fmt: skip
    await looks(post)
    assert await post.states() == ["bounced"]
    assert (await mailbox_of(post))["state"] == {"INBOX": [7, number]}
    assert said not in [one.text for one in await post_is_read(post.town.context, await post.town.now())]


async def test_one_that_stays_broken_holds_up_nobody_when_its_hour_has_come(fetched, server):
    post = await fetched()
    number = server.arrives(STRANGER)
    server.spoilt[number] = "drops"
    message = await post.mail_to("ada")
    await looks(post, 6)
    server.arrives(report_on(post.town.context, "postfix-unknown-user", post.town.shop_id, message))
    await post.town.context.pool.execute(
        "UPDATE work SET state = jsonb_set(state, $1, to_jsonb((now() - interval '1 second')::text)) "
        "WHERE name = 'mailbox'", ["INBOX", "3", str(number)],
    )  # fmt: skip
    await looks(post)
    assert await post.states() == ["bounced"]
    row = await mailbox_of(post)
    assert row["problem"] is None
    assert list(row["state"]["INBOX"][3]) == [str(number)]


async def test_a_mail_that_we_cannot_read_counts_as_broken_too(fetched, server, monkeypatch):
    post = await fetched()
    message = await post.mail_to("ada")
    number = server.arrives(report_on(post.town.context, "postfix-unknown-user", post.town.shop_id, message))

    def breaks(octets: bytes) -> None:
        raise RecursionError

    with monkeypatch.context() as fault:
        fault.setattr("daemon.post.finding.read", breaks)
        await looks(post, 2)
    row = await mailbox_of(post)
    assert row["problem"] == f"mail {number} of INBOX: a fault of ours: RecursionError"
    assert row["state"]["INBOX"][2] == {str(number): 2}


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
