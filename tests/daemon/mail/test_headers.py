"""The header fields around a mail, read back as a mail program reads them."""

from __future__ import annotations

import dataclasses
import email.policy
from email.message import EmailMessage

import pytest

from channels.base import Mail
from daemon.mail import Errand, MailError, Sender, compose_mail, load, render, sender_findings
from daemon.mail.sample import sample
from daemon.tokens import Secrets, Token, read_local_part

SECRETS = Secrets(1, {1: b"first key of the house"})
ROTATED = Secrets(2, {1: b"first key of the house", 2: b"second key"})
PEPPER = b"pepper that never changes"
SENDER = Sender("hallo@shop.example", "Lindenhof", "frage@shop.example", "bounce.shop.example")
ERRAND = Errand(7, 812, "main", "cart", "main", "last-call", "https://tillbell.example/u/abc")
CONTENT = render(load()["last-call"], sample("de")).stored()


def composed(sender: Sender = SENDER, errand: Errand = ERRAND, secrets: Secrets = SECRETS) -> Mail:
    return compose_mail(CONTENT, sender, errand, secrets, PEPPER)


def fields(mail: Mail) -> dict[str, str]:
    return dict(mail.headers)


def test_one_click_unsubscribe_after_rfc_8058():
    mail = composed()
    assert fields(mail)["List-Unsubscribe"] == "<https://tillbell.example/u/abc>"
    assert fields(mail)["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_a_stream_of_its_own_for_each_shop_and_programme():
    assert fields(composed())["List-Id"] == "<cart.main.shop.example>"
    other = composed(errand=dataclasses.replace(ERRAND, programme="no_purchase", shop="Zweiter Shop"))
    assert fields(other)["List-Id"] == "<no-purchase.zweiter-shop.shop.example>"


def test_the_message_id_outlives_a_change_of_keys_and_differs_between_messages():
    assert composed().message_id == composed(secrets=ROTATED).message_id
    assert composed().message_id.startswith("t.7.812.")
    assert composed().message_id.endswith("@shop.example")
    assert composed().message_id != compose_mail(CONTENT, SENDER, ERRAND, SECRETS, b"another house").message_id
    assert composed().message_id != composed(errand=dataclasses.replace(ERRAND, message_id=813)).message_id


def test_a_bounce_names_its_message():
    local, domain = composed().envelope_sender.split("@")
    assert domain == "bounce.shop.example"
    assert len(local) <= 64
    mark, token = local.split("+")
    assert mark == "b"
    assert read_local_part(SECRETS, token.upper()) == Token("bounce", 7, 812)
    assert composed(Sender("hallo@shop.example")).envelope_sender.endswith("@shop.example")


def test_a_rehearsal_is_marked_and_its_tokens_are_inert():
    mail = composed(errand=dataclasses.replace(ERRAND, rehearsal=True))
    token = read_local_part(SECRETS, mail.envelope_sender.split("@")[0].split("+")[1])
    assert token is not None
    assert token.rehearsal
    assert fields(mail)["X-Tillbell-Rehearsal"] == "yes"


def test_it_comes_back_from_a_mail_program_as_it_was():
    mail = composed()
    message = EmailMessage(policy=email.policy.SMTP)
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    message["From"] = f"{mail.sender_name} <{mail.sender}>"
    message["To"], message["Subject"] = "ada@example.org", mail.subject
    message["Message-ID"] = f"<{mail.message_id}>"
    for name, value in mail.headers:
        message[name] = value
    back = email.message_from_bytes(message.as_bytes(), policy=email.policy.default)
    assert back["Subject"] == "Letzte Erinnerung an Ihren Warenkorb bei Lindenhof"
    assert back["Content-Language"] == "de"
    assert [address.addr_spec for address in back["To"].addresses] == ["ada@example.org"]
    assert [part.get_content_type() for part in back.iter_parts()] == ["text/plain", "text/html"]
    assert back.get_body(("plain",)).get_content().splitlines() == mail.text.splitlines()
    assert back.get_body(("html",)).get_content().splitlines() == mail.html.splitlines()


def test_every_header_is_ascii_on_one_line():
    errand = dataclasses.replace(ERRAND, shop="Läden\r\nBcc: x", policy="ß\x00", step="", programme="***")
    for name, value in composed(errand=errand).headers:
        assert f"{name}{value}".isascii()
        assert f"{name}{value}".isprintable()


@pytest.mark.parametrize(
    "address",
    ["", "shop", "a@b", "a@x.example, evil@z.example", "a@x.example\r\nBcc: y@z.example", "Ä@x.example",
     "<a@x.example>", '"a b"@x.example', "a@x..example", "a@x.example\x00", "=?utf-8?q?b=40evil?=@y.example@z.example"],
)  # fmt: skip
def test_a_sender_that_is_not_one_plain_address_is_refused(address):
    with pytest.raises(MailError, match="not one plain address"):
        composed(Sender(address))
    if address:
        with pytest.raises(MailError, match="replies"):
            composed(Sender("hallo@shop.example", reply_to=address))


@pytest.mark.parametrize("url", ["", "mailto:off@shop.example", "https://x.example/>\r\nBcc: y", "javascript:x"])
def test_no_mail_without_a_way_out(url):
    with pytest.raises(MailError, match="unsubscribe"):
        composed(errand=dataclasses.replace(ERRAND, unsubscribe_url=url))
    with pytest.raises(MailError, match="unsubscribe"):
        render(load()["remind"], dataclasses.replace(sample(), unsubscribe_url=url))


@pytest.mark.parametrize(
    ("sender", "imprint", "says"),
    [
        (SENDER, ("Lindenhof", "Berlin"), []),
        (Sender("a@x.example"), (), ["the sender has no imprint"]),
        (Sender(""), ("x",), ["the sender's address is not one plain address"]),
        (Sender("a@x.example", reply_to="b"), ("x",), ["the address for replies is not"]),
        (Sender("a@x.example", bounce_domain="no domain"), ("x",), ["the bounce domain is no domain"]),
    ],
)
def test_check_names_what_a_sender_lacks(sender, imprint, says):
    findings = sender_findings(sender, imprint)
    assert len(findings) == len(says)
    assert all(finding.startswith(start) for finding, start in zip(findings, says, strict=True))
