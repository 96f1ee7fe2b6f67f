"""What arrives when a composed mail is parsed back, and what cannot be smuggled into it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.compose import BadContent, compose
from tests.channels.mails import ADA, AT, mail, parsed


def content(part):
    return part.get_content().replace("\r\n", "\n")


def test_headers_come_in_order_and_once():
    octets = compose(mail(reply_to="help@shop.example", headers=(("List-Id", "<carts.shop.example>"),)), ADA, AT)
    assert octets.partition(b"\r\n\r\n")[0].decode().split("\r\n") == [
        'From: "Kiosk" <shop@shop.example>',
        "To: ada@example.org",
        "Reply-To: help@shop.example",
        "Subject: Ihr Warenkorb",
        "Date: Sun, 01 Mar 2026 12:30:00 +0000",
        "Message-ID: <1.abc@shop.example>",
        "List-Id: <carts.shop.example>",
        "MIME-Version: 1.0",
        'Content-Type: multipart/alternative; boundary="=_0adc3af4be4199cfe488744b"',
    ]


def test_both_parts_come_back_as_they_were():
    text = "Grüße,\n.\n..\nFrom here\n" + "x" * 2000 + "\n=C3 ü=\n"
    html = "<p>Größe 💙</p>\n" + "y" * 2000 + "\n"
    plain, rich = parsed(compose(mail(text=text, html=html), ADA, AT)).iter_parts()
    assert (plain.get_content_type(), content(plain)) == ("text/plain", text)
    assert (rich.get_content_type(), content(rich)) == ("text/html", html)


@pytest.mark.parametrize("length", [20, 60, 70, 200, 900])
def test_long_link_in_a_header_is_never_encoded(length):
    value = f"<https://shop.example/u/{'t' * length}>"
    octets = compose(mail(headers=(("List-Unsubscribe", value),)), ADA, AT)
    assert f"\r\nList-Unsubscribe: {value}\r\n".encode() in octets


def test_mail_may_say_its_language():
    octets = compose(mail(headers=(("Content-Language", "de"),)), ADA, AT)
    assert octets.partition(b"\r\n\r\n")[0].count(b"\r\nContent-Language: de") == 1


def test_lines_are_short_and_plain():
    many = (("X-Words", "word " * 60 + "end"), ("X-Umlaut", "Größe " * 40))
    octets = compose(mail(subject="Größenverstellbares Rad " * 9, html="<p>" + "ü" * 5000, headers=many), ADA, AT)
    assert max(map(len, octets.split(b"\r\n"))) <= 78
    assert octets.isascii()
    message = parsed(octets)
    assert message["Subject"].split() == ("Größenverstellbares Rad " * 9).split()
    assert message["X-Words"].split() == [*["word"] * 60, "end"]


def test_same_mail_gives_the_same_octets():
    assert compose(mail(), ADA, AT) == compose(mail(), ADA, AT)


def test_sender_name_cannot_become_a_second_address():
    name = 'Kiosk" <eve@evil.example>, "x'
    message = parsed(compose(mail(sender_name=name), ADA, AT))
    [sender] = message["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (name, "shop@shop.example")


def test_text_that_looks_encoded_is_not_decoded_into_a_header():
    trap = "=?utf-8?q?a=0D=0ABcc:_eve=40evil.example?="
    octets = compose(mail(subject=trap, sender_name=trap, headers=(("X-V", trap),)), ADA, AT)
    message = parsed(octets)
    assert "Bcc" not in message
    assert (message["Subject"], message["X-V"]) == (trap, trap)
    assert [(one.display_name, one.addr_spec) for one in message["From"].addresses] == [(trap, "shop@shop.example")]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"subject": "a\r\nBcc: eve@evil.example"}, id="line break in the subject"),
        pytest.param({"subject": "a\x00b"}, id="NUL in the subject"),
        pytest.param({"subject": "a\u2028b"}, id="line separator in the subject"),
        pytest.param({"sender_name": "a\nb"}, id="line break in the sender's name"),
        pytest.param({"message_id": "a>\r\nX: y@z"}, id="line break in the message id"),
        pytest.param({"headers": (("X", "a\nb"),)}, id="line break in a further header"),
        pytest.param({"headers": (("X\r\nY", "a"),)}, id="line break in a header's name"),
        pytest.param({"headers": (("Bcc", "eve@evil.example"),)}, id="a blind copy"),
        pytest.param({"headers": (("CC", "eve@evil.example"),)}, id="a copy"),
        pytest.param({"headers": (("Content-Type", "text/plain"),)}, id="another content type"),
        pytest.param({"headers": (("content-transfer-encoding", "8bit"),)}, id="another encoding"),
        pytest.param({"headers": (("Resent-To", "eve@evil.example"),)}, id="a resent copy"),
        pytest.param({"headers": (("X", "y" * 1200),)}, id="a word longer than a line may be"),
        pytest.param({"text": "a\ud800b"}, id="half a character in the text"),
        pytest.param({"subject": "a\ud800b"}, id="half a character in the subject"),
    ],
)
def test_refused_without_repeating_the_value(changes):
    with pytest.raises(BadContent) as caught:
        compose(mail(**changes), ADA, AT)
    assert "evil" not in str(caught.value)


LINE = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), max_size=120)
BODY = st.text(st.characters(codec="utf-8", exclude_characters="\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"), max_size=300)


@settings(max_examples=500, deadline=None)
@given(subject=LINE, name=LINE, value=LINE, text=BODY, html=BODY)
def test_nothing_that_a_product_is_called_breaks_a_mail(subject, name, value, text, html):
    octets = compose(mail(subject=subject, sender_name=name, text=text, html=html, headers=(("X-V", value),)), ADA, AT)
    assert octets.isascii()
    assert octets.count(b"\r\n") == octets.count(b"\n") == octets.count(b"\r")
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    message = parsed(octets)
    assert [key.lower() for key in message] == [
        *("from", "to", "subject", "date", "message-id", "x-v", "mime-version", "content-type")
    ]
    assert [address.addr_spec for address in message["To"].addresses] == ["ada@example.org"]
    assert [address.addr_spec for address in message["From"].addresses] == ["shop@shop.example"]
    assert message["Subject"].split() == subject.split()
    plain, rich = message.iter_parts()
    assert content(plain).rstrip("\n") == text.rstrip("\n")
    assert content(rich).rstrip("\n") == html.rstrip("\n")
