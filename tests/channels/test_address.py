"""Recipient smuggling: whatever an address tries, the relay gets the stored one and no other, or nothing at all."""

import unicodedata

import pytest

from channels.address import BadAddress, one
from channels.base import attempt

CONTROLS = [f"ada{chr(number)}x@example.org" for number in (*range(0x20), 0x7F)]

LISTS = [
    "ada@example.org,eve@evil.example",
    "ada@example.org, eve@evil.example",
    "ada@example.org;eve@evil.example",
    "ada@example.org eve@evil.example",
    "ada@example.org\teve@evil.example",
    "<ada@example.org>",
    "<ada@example.org><eve@evil.example>",
    "<ada@example.org>,<eve@evil.example>",
    "Ada <ada@example.org>",
    '"eve@evil.example" <ada@example.org>',
    "eve@evil.example <ada@example.org>",
    "ada@example.org (eve@evil.example)",
    "(comment)ada@example.org",
    "ada(comment)@example.org",
    "undisclosed:ada@example.org;",
    "group:ada@example.org,eve@evil.example;",
    "@evil.example:ada@example.org",
    "@evil.example,@x.example:ada@example.org",
    "ada@example.org@evil.example",
    "ada@@example.org",
    "ada%example.org@@evil.example",
    "mailto:ada@example.org",
    "ada@example.org> SIZE=1",
    "ada@example.org> NOTIFY=NEVER RCPT TO:<eve@evil.example",
    "ada@example.org>\r\nRCPT TO:<eve@evil.example",
    "ada@example.org\r\nRCPT TO:<eve@evil.example>",
    "ada@example.org\nBcc: eve@evil.example",
    "ada@example.org\rBcc: eve@evil.example",
    "ada@example.org\x00eve@evil.example",
    "ada@example.org\u2028Bcc: eve@evil.example",
    "ada@example.org\u2029Bcc: eve@evil.example",
    "ada@example.org\x85Bcc: eve@evil.example",
    "ada@example.org\x0bBcc: eve@evil.example",
    "ada@example.org\x0cBcc: eve@evil.example",
]

QUOTED = [
    '"ada"@example.org',
    '"ada eve"@example.org',
    '"ada,eve"@example.org',
    '"ada@evil.example"@example.org',
    '"ada\\"eve"@example.org',
    '"ada\\@evil.example> "@example.org',
    '""@example.org',
    "ada\\@evil.example@example.org",
    'ada"eve"@example.org',
    "ada eve@example.org",
    " ada@example.org",
    "ada@example.org ",
    "ada@ example.org",
]

ENCODED = [
    "=?utf-8?q?b=40evil?=@example.org",
    "=?utf-8?q?=65=76=65=40evil=2Eexample=3E?=@example.org",
    "=?utf-8?b?ZXZlQGV2aWwuZXhhbXBsZQ==?=@example.org",
    "=?iso-8859-1?Q?eve=2C?=@example.org",
    "ada=?utf-8?q?=2C?=@example.org",
    "=?x?=@example.org",
]

DOTS = [
    ".ada@example.org",
    "ada.@example.org",
    "ada..x@example.org",
    ".@example.org",
    "ada@.example.org",
    "ada@example..org",
    "ada@example.org.",
    "ada@-example.org",
    "ada@example-.org",
    "ada@exa_mple.org",
    "ada@example.org/evil",
    "ada@[127.0.0.1]",
    "ada@[IPv6:::1]",
    "ada@127.0.0.1",
    "ada@2130706433",
    "ada@example.org:25",
    "@example.org",
    "ada@",
    "@",
    "",
    "ada",
    "a" * 65 + "@example.org",
    "ada@" + "a" * 64 + ".org",
    "ada@" + "a." * 130 + "org",
]

UNICODE = [
    "ada\uff20evil.example",
    "ada@evil\uff0eexample",
    "ada@evil\u3002example",
    "ada@ｅxample.org",
    "ada\u200b@example.org",
    "ada\u202e@example.org",
    "ada\ufeff@example.org",
    "ada\u00a0eve@example.org",
    "ada\u3000eve@example.org",
    "ada\ud800@example.org",
    "ada@ex\u200dample.org",
    "ada@ex\u00adample.org",
    "ada@\u202eexample.org",
    "ada@xn--\u00e4.org",
    "ä" * 33 + "@example.org",
]

SMUGGLING = [*CONTROLS, *LISTS, *QUOTED, *ENCODED, *DOTS, *UNICODE]

HONEST = {
    "ada@example.org": "ada@example.org",
    "Ada.Lovelace+shop@Example.ORG": "Ada.Lovelace+shop@Example.ORG",
    "o'brien@example.org": "o'brien@example.org",
    "a@b": "a@b",
    "user%host@example.org": "user%host@example.org",
    "a/b=c@example.org": "a/b=c@example.org",
    "!#$&*-/=^?_`{|}~@example.org": "!#$&*-/=^?_`{|}~@example.org",
    "ada@xn--mller-kva.example": "ada@xn--mller-kva.example",
    "ada@müller.example": "ada@xn--mller-kva.example",
    "ada@MÜLLER.example": "ada@xn--mller-kva.example",
    "jörg@example.org": "jörg@example.org",
    "用户@例子.example": "用户@xn--fsqu00a.example",
    "a" * 64 + "@example.org": "a" * 64 + "@example.org",
}


def test_there_are_a_hundred_of_them():
    assert len(set(SMUGGLING)) >= 100


@pytest.mark.parametrize("text", SMUGGLING, ids=lambda text: ascii(text[:40]))
def test_smuggling_is_refused_without_being_repeated(text):
    with pytest.raises(BadAddress) as caught:
        one(text)
    assert "@" not in str(caught.value)
    assert "ada" not in str(caught.value)


@pytest.mark.parametrize(("text", "sent"), HONEST.items(), ids=lambda text: ascii(text[:40]))
def test_honest_address_stays_as_it_is(text, sent):
    assert str(one(text)) == sent


@pytest.mark.parametrize("number", range(4))
def test_no_sign_of_the_basic_plane_opens_a_second_address(number):
    for sign in map(chr, range(number * 0x4000, (number + 1) * 0x4000)):
        try:
            address = one(f"a{sign}b@example.org")
        except BadAddress:
            continue
        assert str(address) == f"a{sign}b@example.org"
        assert sign not in ' ,;:<>()[]\\"@'
        assert unicodedata.category(sign)[0] not in "CZ"


async def test_relay_sees_exactly_one_rcpt_equal_to_the_stored_address(make_relay, make_email, make_message):
    async def always(message):
        return True

    relay = await make_relay(ehlo=b"250-relay.test\r\n250 SMTPUTF8\r\n")
    email = make_email(relay.port)
    for number, text in enumerate([*SMUGGLING, *HONEST]):
        before = len(relay.said("RCPT"))
        outcome = await attempt(email, make_message(number, text), always)
        rcpts = relay.said("RCPT")[before:]
        assert outcome.state == ("accepted" if text in HONEST else "failed")
        assert rcpts == ([f"RCPT TO:<{HONEST[text]}>"] if text in HONEST else [])
    for mail, sent in zip(relay.mails, HONEST.values(), strict=True):
        headers = mail.partition(b"\r\n\r\n")[0].decode().split("\r\n")
        assert [line for line in headers if line.lower().startswith(("to:", "cc:", "bcc:"))] == [f"To: {sent}"]
