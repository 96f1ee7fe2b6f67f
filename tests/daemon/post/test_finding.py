"""What a mail is to us, told of thirty reports and a reply, and of anything that may come in their place."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.post import finding, letter, mime
from tests.reports import NAMES, report

VERP = "b+aeaqaaaaaeaaaaaaaauq"
TABLE = {
    "postfix-unknown-user": ("failed", "5.1.1", "hard"),
    "postfix-no-such-host": ("failed", "5.1.2", "hard"),
    "postfix-delayed": ("delayed", "4.4.1", ""),
    "postfix-given-up": ("failed", "4.4.1", "soft"),
    "postfix-delivered": ("delivered", "2.1.5", ""),
    "postfix-relayed": ("relayed", "2.0.0", ""),
    "postfix-expanded": ("expanded", "2.0.0", ""),
    "mailbox-full": ("failed", "5.2.2", "soft"),
    "mailbox-switched-off": ("failed", "5.2.1", "hard"),
    "vague-code-clear-words": ("failed", "5.0.0", "hard"),
    "vague-code-vague-words": ("failed", "5.0.0", "soft"),
    "exim-unrouteable": ("failed", "5.1.3", "hard"),
    "exchange-not-found": ("failed", "5.1.10", "hard"),
    "exchange-access-denied": ("failed", "5.4.1", "soft"),
    "gmail-no-account": ("failed", "5.1.1", "hard"),
    "gmail-dmarc": ("failed", "5.7.26", "sender"),
    "policy-refusal": ("failed", "5.7.1", "sender"),
    "german-mixed": ("failed", "5.1.6", "hard"),
    "japanese-global": ("failed", "4.2.2", "soft"),
    "forwarded-to-two": ("delivered", "2.0.0", ""),
    "qmail-words": ("failed", "5.1.1", "hard"),
    "exim-words": ("failed", "", "hard"),
    "french-words": ("failed", "4.2.2", "soft"),
    "forged-signature": ("failed", "5.1.1", "hard"),
    "forged-by-a-person": ("failed", "5.1.1", "hard"),
    "vacation": ("automatic", "", ""),
    "out-of-office-exchange": ("automatic", "", ""),
    "complaint": ("complained", "", ""),
    "complaint-headers-only": ("complained", "", ""),
    "huge": ("failed", "5.1.1", "hard"),
    "reply": ("replied", "", ""),
}
JUNK = [
    b"", b"\n", b"\r\n\r\n", b":", b"\x00" * 5000, b"Subject: =?utf-8?B?////?=\n\n",
    b"Content-Type: multipart/report; boundary=x\n\n--x\nContent-Type: message/delivery-status\n\n\n\n--x--",
    b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\nContent-Type: multipart/mixed; boundary=x\n\n" * 5000,
    b"Content-Type: text/plain" + b'; a="' * 5000 + b"\n\nx",
    b"Return-Path: <>\nSubject: failure notice\n\n" + b"-" * 500_000,
    b"Return-Path: <>\nSubject: failure notice\n\n" + b"5." * 250_000,
    b"Content-Type: text/html\n\n" + b"<script" * 100_000,
    b"References: " + b"<a@b> " * 100_000 + b"\n\n",
    b"To: " + b"a" * 900_000 + b"@" * 1000 + b"\n\n",
    b"Content-Type: text/plain; charset=unicode_escape\n\n\\x",
    b"Content-Transfer-Encoding: base64\n\nA",
    b"A: b\n" * 200_000,
]  # fmt: skip


def sample(name: str) -> bytes:
    return report(name, f"{VERP}@bounces.shop.example", "t.1.5.aa@shop.example")


def test_every_sample_is_in_the_table():
    assert set(NAMES) == set(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_a_report_says(name):
    found = finding.read(sample(name))
    assert (found.kind, found.status, found.severity) == TABLE[name]
    assert "@" not in found.said


@pytest.mark.parametrize("name", [name for name, told in TABLE.items() if told[0] != "nothing"])
def test_every_sample_says_which_mail_it_is_about(name):
    found = finding.read(sample(name))
    known = {*found.recipients, *found.senders, *found.ids}
    assert known & {f"{VERP}@bounces.shop.example", "t.1.5.aa@shop.example"} or name == "forged-signature"


def test_only_a_report_has_a_null_return_path():
    assert finding.read(sample("postfix-unknown-user")).return_path == ""
    assert finding.read(sample("forged-by-a-person")).return_path == "mallory@evil.example"
    assert finding.read(b"Subject: x\n\n").return_path is None


def test_the_topmost_return_path_counts():
    assert finding.read(b"Return-Path: <a@b.example>\nReturn-Path: <>\n\n").return_path == "a@b.example"


def test_what_another_server_said_is_kept_without_addresses():
    assert finding.read(sample("postfix-unknown-user")).said == "550 5.1.1 … user unknown"


def test_a_report_forwarded_by_a_person_is_a_reply():
    inner = sample("postfix-unknown-user")
    raw = b"Return-Path: <a@b.example>\nContent-Type: multipart/mixed; boundary=o\n\n--o\n\nlook\n--o\n"
    assert finding.read(raw + b"Content-Type: message/rfc822\n\n" + inner + b"\n--o--").kind == "replied"


def test_the_subject_of_a_delay_without_a_report_part_is_believed():
    raw = b"Return-Path: <>\nFrom: mailer-daemon@x.example\nSubject: delivery delayed\n\n4.4.1 will be tried again\n"
    assert finding.read(raw).kind == "delayed"


def test_an_envelope_id_may_come_back_as_it_travelled():
    assert finding.plain("t.1.5.aa+2Bb@shop.example") == "t.1.5.aa+b@shop.example"


@pytest.mark.parametrize("line", ["X-Autoreply: yes", "Precedence: bulk", "Auto-Submitted: auto-generated (vacation)",
                                  "From: no-reply@x.example", "Subject: =?utf-8?Q?Automatische_Antwort=3A_hallo?=",
                                  "Subject: Re: Out of office", "List-Id: <x.example>",
                                  "Content-Type: multipart/report; report-type=disposition-notification"])  # fmt: skip
def test_a_machine_is_no_person(line):
    assert finding.read(f"Return-Path: <a@b.example>\n{line}\n\nx".encode()).kind == "automatic"


@pytest.mark.parametrize("line", ["Auto-Submitted: no", "Subject: Re: automatic watch", "Subject: Undeliverable to me?",
                                  "X-Auto-Response-Suppress: OOF"])  # fmt: skip
def test_a_person_is_no_machine(line):
    assert finding.read(f"Return-Path: <a@b.example>\n{line}\n\nx".encode()).kind == "replied"


@pytest.mark.parametrize("octets", JUNK)
def test_hostile_mails_are_read_at_once(octets):
    began = time.perf_counter()
    assert finding.read(octets).kind in finding.Kind.__args__
    letter.read(octets)
    assert time.perf_counter() - began < 20


def test_ten_megabytes_are_read_at_once():
    octets = sample("huge")
    assert len(octets) > 10 * 1024 * 1024
    began = time.perf_counter()
    finding.read(octets)
    assert time.perf_counter() - began < 20


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=3000))
def test_junk_never_raises(octets):
    finding.read(octets)
    letter.read(octets)


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from([name for name in TABLE if name != "huge"]),
    cuts=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 400), st.binary(max_size=30)), max_size=6),
)
def test_a_damaged_report_never_raises(name, cuts):
    octets = sample(name)
    for start, length, put in cuts:
        octets = octets[:start] + put + octets[start + length :]
    found = finding.read(octets)
    assert "\0" not in found.said + found.status
    letter.read(octets)


def test_a_reply_is_shown_as_a_person_reads_it():
    read = letter.read(sample("reply"))
    assert read == letter.Letter("Ada Löw <ada@example.org>", "Re: Your cart is waiting",
                                 "Gibt es die Schuhe auch in Größe 39?")  # fmt: skip


def test_a_reply_in_html_is_shown_without_it():
    raw = b"Content-Type: text/html\n\n<style>p {}</style><p>Is it <b>red</b>&nbsp;or<br>blue?\x1b[2J</p>"
    assert letter.read(raw).text.splitlines() == ["", "Is it red or", "blue?[2J"]


def test_a_mail_within_a_mail_is_not_opened():
    mail = mime.read(b"Content-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\na\n--x--")
    assert [part.kind for part in mail.walk()] == ["message/rfc822"]
