"""Reports as servers write them that are not in the samples: other codes, several recipients, other ways to name us."""

from __future__ import annotations

import base64

import pytest

from daemon.post import finding

VERP = "b+aeaqaaaaaeaaaaaaaauq@bounces.shop.example"
WAY = "A" * 40
DEAD = ("failed", "5.1.1", "smtp; 550 5.1.1 no such user")
FULL = ("failed", "4.2.2", "smtp; 452 4.2.2 over quota")
REFUSED = ("failed", "5.7.1", "smtp; 550 5.7.1 no spam")
WAITS = ("delayed", "4.4.1", "smtp; 421 4.4.1 later")


def report(*told: tuple[str, str, str], encoding: str = "7bit", path: str = "<>", back: str = "From: x") -> bytes:
    """One for these recipients: action, status and what the other server said."""
    groups = "".join(
        f"\r\nFinal-Recipient: rfc822; p{number}@home.example\r\nAction: {action}\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: {said}\r\n"
        for number, (action, status, said) in enumerate(told)
    )
    status = f"Reporting-MTA: dns; mx.example\r\n{groups}".encode()
    body = base64.encodebytes(status) if encoding == "base64" else status
    head = (
        f"Return-Path: {path}\r\nTo: {VERP}\r\nContent-Type: multipart/report; boundary=x\r\n\r\n--x\r\n\r\nsorry\r\n"
    )
    head += f"--x\r\nContent-Type: message/delivery-status\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return (
        head.encode() + body + f"\r\n--x\r\nContent-Type: text/rfc822-headers\r\n\r\n{back}\r\n\r\n--x--\r\n".encode()
    )


def complaint(said: str, back: str) -> bytes:
    return (
        "Return-Path: <fbl@home.example>\r\nTo: fbl@bounces.shop.example\r\n"
        "Content-Type: multipart/report; report-type=feedback-report; boundary=x\r\n\r\n--x\r\n\r\nspam\r\n"
        f"--x\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nVersion: 1\r\n{said}\r\n"
        f"--x\r\nContent-Type: text/rfc822-headers\r\n\r\n{back}\r\n\r\n--x--\r\n"
    ).encode()


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param([DEAD], "hard", id="the one that there is"),
        pytest.param([DEAD, DEAD], "hard", id="all of them are dead"),
        pytest.param([DEAD, FULL], "soft", id="one of them is only full"),
        pytest.param([FULL, DEAD], "soft", id="the same the other way round"),
        pytest.param([DEAD, REFUSED], "sender", id="one of them refuses our mail"),
        pytest.param([DEAD, WAITS], "soft", id="one of them is still being tried"),
    ],
)
def test_an_address_that_stands_for_several_is_as_dead_as_the_liveliest_of_them(told, expected):
    found = finding.read(report(*told))
    assert (found.kind, found.severity) == ("failed", expected)


@pytest.mark.parametrize("encoding", ["7bit", "base64"])
def test_each_recipient_is_read_however_the_part_is_encoded(encoding):
    told = [DEAD, ("delivered", "2.0.0", "smtp; 250 taken")]
    assert finding.read(report(*told, encoding=encoding)).kind == "delivered"


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        pytest.param(
            "5.1.0",
            "smtp; 5.1.0 - Unknown address error 550-'5.1.1 The account that you tried to reach does not exist'",
            ("5.1.1", "hard"),
            id="a vague code before the one it repeats",
        ),
        pytest.param("5.0.0", "smtp; 550 rejected by mx 4.96.2", ("5.0.0", "soft"), id="a version is no code"),
        pytest.param(
            "5.4.4",
            "X-Postfix; Host not found. Name service error for name=home.example type=AAAA: Host not found",
            ("5.4.4", "hard"),
            id="the host of the address is not there",
        ),
        pytest.param(
            "5.4.4",
            "X-Postfix; Host not found. Name service error for name=mx.home.example type=A: Host not found",
            ("5.4.4", "soft"),
            id="a mail server behind it is not there",
        ),
    ],
)
def test_what_a_code_says_of_an_address(status, said, expected):
    found = finding.read(report(("failed", status, said)))
    assert (found.status, found.severity) == expected


def test_a_mailer_daemon_without_a_host_is_the_null_return_path():
    assert finding.read(report(DEAD, path="<MAILER-DAEMON>")).return_path == ""
    assert finding.read(report(DEAD, path="<mailer-daemon@evil.example>")).return_path == "mailer-daemon@evil.example"


@pytest.mark.parametrize(
    "head",
    [
        pytest.param("List-Id: <hello.shop.example>\nPrecedence: list", id="through a group of the shop"),
        pytest.param("X-MS-Exchange-Inbox-Rules-Loop: hello@shop.example", id="sent on by a rule of the mailbox"),
    ],
)
def test_an_answer_that_was_passed_on_is_a_persons(head):
    answer = "Return-Path: <a@b.example>\n{}\nIn-Reply-To: <t.1.5.aa@shop.example>\n\nIs it red?"
    assert finding.read(answer.format(head).encode()).kind == "replied"
    away = answer.format(f"{head}\nAuto-Submitted: auto-replied")
    assert finding.read(away.encode()).kind == "automatic"
    letter = f"Return-Path: <a@b.example>\n{head}\n\nNews"
    assert finding.read(letter.encode()).kind == "automatic"


def test_a_complaint_may_name_the_mail_by_its_envelope_id_alone():
    found = finding.read(complaint("Original-Envelope-Id: t.1.5.aa@shop.example", "Subject: x"))
    assert (found.kind, found.ids) == ("complained", ("t.1.5.aa@shop.example",))


def test_the_way_out_of_a_returned_mail_names_it_too():
    back = f"Message-ID: <0102@relay.example>\r\nList-Unsubscribe: <https://t.shop.example/u/{WAY}>"
    assert finding.read(complaint("Source-IP: 192.0.2.1", back)).ways == (WAY,)
    assert finding.read(report(DEAD, back=back)).ways == (WAY,)


def test_a_mail_whose_text_was_erased_while_it_waited_is_nobodys_letter():
    assert finding.read(b"").kind == "nothing"
