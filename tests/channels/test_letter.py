"""Our own composer beside the standard library's: what is parsed back from both is the same, and is what went in."""

import email
import re
from datetime import timedelta, timezone
from email.header import decode_header, make_header
from email.utils import format_datetime, parseaddr

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from channels.address import one
from channels.compose import BadContent, compose
from channels.letter import draft, written
from channels.smtp import stuffed
from tests.channels.mails import ADA, AT, mail, parsed


def whom(field, octets):
    """Read by the older of the library's two parsers: the newer one puts a space between encoded words in a name."""
    name, address = parseaddr(str(email.message_from_bytes(octets)[field]))
    return str(make_header(decode_header(name))), address


def told(octets):
    """Everything that a reader's program makes of a mail."""
    message = parsed(octets)
    people = {name: whom(name, octets) for name in ("From", "To")}
    fields = [(name.lower(), " ".join(str(value).split())) for name, value in message.items() if name not in people]
    bodies = [
        (part.get_content_type(), part.get_content_charset(), part.get_content().replace("\r\n", "\n"))
        for part in message.iter_parts()
    ]
    assert not message.defects
    assert not any(part.defects for part in message.iter_parts())
    return people, fields, bodies


def both(one_mail, to=ADA, at=AT):
    """What the oracle makes of it, and ours in 7 and in 8 bits."""
    ours = draft(one_mail, to, at)
    return told(compose(one_mail, to, at)), told(ours.octets()), told(ours.octets(eight_bit=True))


def lines_are_sound(octets):
    assert octets.count(b"\r\n") == octets.count(b"\n") == octets.count(b"\r")
    assert octets.endswith(b"\r\n")
    assert max(map(len, octets.split(b"\r\n"))) <= 998


ANY = st.text(st.characters(codec="utf-8"), max_size=200)
LINE = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), max_size=200)
WORDS = st.lists(
    st.sampled_from(["Größe", "a", "x" * 70, "💙" * 20, '"', "\\", "=?utf-8?q?a?=", "=?", " ", "@", "<b>"])
).map(" ".join)
BODY = st.lists(
    st.one_of(ANY, st.sampled_from([".", "..", ".a", "From x", "=_", "ü" * 600, "y" * 999, " ", "=3D", "\r", "\r\n"]))
).map("\n".join)


@settings(max_examples=60, deadline=None)
@given(subject=LINE | WORDS, name=LINE | WORDS, value=LINE | WORDS, text=BODY, html=BODY)
@example(subject=" ", name=" ", value="", text="", html="")
@example(subject="a" * 300, name='"\\', value="b " * 200, text=".", html="\r")
@example(subject="", name="Größe " + "x" * 70, value="", text="", html="")
def test_both_composers_say_the_same(subject, name, value, text, html):
    one_mail = mail(subject=subject, sender_name=name, text=text, html=html, headers=(("X-V", value),))
    try:
        oracle, seven, eight = both(one_mail)
    except BadContent:
        with pytest.raises(BadContent):
            draft(one_mail, ADA, AT)
        with pytest.raises(BadContent):
            compose(one_mail, ADA, AT)
        return
    assert seven == oracle
    assert eight == oracle
    ours = draft(one_mail, ADA, AT)
    lines_are_sound(ours.octets())
    lines_are_sound(ours.octets(eight_bit=True))
    assert ours.octets().isascii()


@settings(max_examples=60, deadline=None)
@given(subject=ANY, name=ANY, value=ANY, field=ANY | st.sampled_from(["X-Y", "bcc", "To", "Content-Type", "X:Y", ""]))
def test_both_composers_refuse_the_same(subject, name, value, field):
    one_mail = mail(subject=subject, sender_name=name, headers=((field, value),))
    refused = []
    for composer in (compose, draft):
        try:
            composer(one_mail, ADA, AT)
            refused.append(False)
        except BadContent:
            refused.append(True)
    assert refused[0] == refused[1]


@settings(max_examples=40, deadline=None)
@given(text=BODY, html=BODY)
def test_dots_are_doubled_exactly(text, html):
    for eight_bit in (False, True):
        octets = draft(mail(text=text, html=html), ADA, AT).octets(eight_bit=eight_bit)
        wire = stuffed(octets, sound=True)
        assert wire == stuffed(octets)
        assert not re.search(rb"(?:^|\r\n)\.\r\n", wire), "no body ends before its end"
        assert re.sub(rb"(?m)^\.", b"", wire) == octets


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"message_id": "a>\r\nX: y@z"}, id="line break in the message id"),
        pytest.param({"message_id": "a" * 1200}, id="an endless message id"),
        pytest.param({"sender": "a@b\r\nX: y"}, id="line break in the sender"),
        pytest.param({"reply_to": "a@b\nX: y"}, id="line break in the address for replies"),
        pytest.param({"headers": (("X", "y" * 1200),)}, id="a word longer than a line may be"),
        pytest.param({"text": "a\ud800b"}, id="half a character in the text"),
        pytest.param({"html": "a\ud800b"}, id="half a character in the page"),
        pytest.param({"subject": "a\ud800b"}, id="half a character in the subject"),
    ],
)
def test_refused_by_both(changes):
    for composer in (compose, draft):
        with pytest.raises(BadContent):
            composer(mail(**changes), ADA, AT)


def test_whole_set_of_fields_is_the_same_to_the_octet():
    fields = (
        ("List-Unsubscribe", f"<https://shop.example/u/{'x' * 90}>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("List-Id", "<cart.main.shop.example>"),
        ("Feedback-ID", "remind:cart:main:tillbell"),
        ("X-Auto-Response-Suppress", "OOF, AutoReply"),
        ("Content-Language", "de"),
    )
    one_mail = mail(headers=fields, reply_to="help@shop.example")
    heads = [
        octets.partition(b"\r\n\r\n")[0] for octets in (compose(one_mail, ADA, AT), draft(one_mail, ADA, AT).octets())
    ]
    assert heads[0] == heads[1]


@pytest.mark.parametrize("minutes", [-720, -210, 0, 60, 345])
def test_date_is_written_like_the_library_writes_it(minutes):
    for date in (AT.astimezone(timezone(timedelta(minutes=minutes))), AT.replace(tzinfo=None)):
        assert written(date) == format_datetime(date)


def test_address_beyond_ascii_is_written_as_it_is():
    to = one("jörg@müller.example")
    octets = draft(mail(), to, AT).octets()
    assert "\r\nTo: jörg@xn--mller-kva.example\r\n".encode() in octets
    assert octets.partition(b"\r\n\r\n")[2].isascii()


def test_what_eight_bits_cannot_carry_is_encoded():
    for html in ("<p>ü" + "x" * 998, "<p>ü\x00", "<p>ü" + draft(mail(), ADA, AT).boundary.decode()):
        octets = draft(mail(html=html), ADA, AT).octets(eight_bit=True)
        assert octets.count(b"Transfer-Encoding: quoted-printable") == 1
        assert octets.count(b"Transfer-Encoding: 8bit") == 1
        assert told(octets)[2][1][2] == html + "\n"


def test_no_letter_is_divided_between_two_encoded_words():
    subject = "Größenverstellbares 💙 " * 9
    head = draft(mail(subject=subject), ADA, AT).octets().partition(b"\r\n\r\n")[0]
    found = re.findall(rb"=\?utf-8\?b\?[^?]+\?=", head)
    assert len(found) > 5
    assert all(len(word) <= 75 for word in found)
    assert all(parsed(b"Subject: " + word + b"\r\n\r\n")["Subject"].isprintable() for word in found)
    assert max(map(len, head.split(b"\r\n"))) <= 78
