"""What the doctor says of a relay that it calls, and of the way out of a mail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from aiosmtpd.controller import Controller

from channels.base import Mail
from channels.email import Config, Email
from daemon.clock import machine_now
from daemon.doctor import links
from daemon.doctor.relay import Relay, call, of_relay

NOW = datetime(2026, 3, 2, tzinfo=UTC)
ALL = frozenset({"pipelining", "8bitmime", "dsn", "size"})


def relay(**changes) -> Relay:
    return Relay(**{"where": "mx:587", "tls": "starttls", "loopback": False, "offers": ALL, **changes})


@pytest.fixture
def make_relay(unused_tcp_port_factory):
    started = []

    def make(**options: object) -> int:
        post = Controller(object(), hostname="127.0.0.1", port=unused_tcp_port_factory(), **options)
        post.start()
        started.append(post)
        return post.port

    yield make
    for post in started:
        post.stop()


async def test_a_relay_that_answers_tells_what_it_can(make_relay):
    found = await call(
        Email(Config(host="127.0.0.1", port=make_relay(data_size_limit=5000), tls="none", helo="me.test"))
    )
    assert (found.problem, found.size_limit, "8bitmime" in found.offers) == ("", 5000, True)
    said = of_relay(found, NOW, 6000)
    assert [one.text for one in said if one.amiss] == [
        f"{found.where} takes mails of 5,000 bytes, our largest has 6,000"
    ]


async def test_a_relay_that_is_not_there(unused_tcp_port):
    found = await call(Email(Config(host="127.0.0.1", port=unused_tcp_port, tls="none", helo="me.test")))
    assert [one.about for one in of_relay(found, NOW, 1)] == ["relay"]
    assert "cannot be used" in of_relay(found, NOW, 1)[0].text


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_the_certificate_of_a_relay_is_read(make_relay, certificate, tls):
    """The fixture's ends in two days."""
    name = "tls_context" if tls == "starttls" else "ssl_context"
    port = make_relay(**{name: certificate.server()})
    found = await call(Email(Config(host="localhost", port=port, tls=tls, ca_file=certificate.cert, helo="me.test")))
    assert found.problem == ""
    assert found.valid_until is not None
    left = found.valid_until - machine_now()
    assert timedelta(days=1, hours=12) < left <= timedelta(days=2)
    [said] = [one.text for one in of_relay(found, machine_now(), 1) if one.amiss]
    assert said == f"the certificate of localhost:{port} ends in 1 days"
    trusted = Email(Config(host="localhost", port=port, tls=tls, helo="me.test"))
    assert "certificate verify failed" in (await call(trusted)).problem


async def test_a_relay_without_the_encryption_that_is_asked_for(make_relay):
    found = await call(Email(Config(host="127.0.0.1", port=make_relay(), tls="starttls", helo="me.test")))
    assert "cannot be used" in of_relay(found, NOW, 1)[0].text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, [], id="all is well"),
        pytest.param({"tls": "none"}, ["mails go to mx:587 unencrypted"], id="in clear over the net"),
        pytest.param({"tls": "none", "loopback": True}, [], id="in clear on this machine"),
        pytest.param(
            {"valid_until": NOW + timedelta(days=6)}, ["the certificate of mx:587 ends in 6 days"], id="nearly over"
        ),
        pytest.param({"valid_until": NOW + timedelta(days=60)}, [], id="long enough"),
    ],
)
def test_of_relay(changes, expected):
    assert [one.text for one in of_relay(relay(**changes), NOW, 1) if one.amiss] == expected


def test_what_a_relay_does_not_offer_is_worth_knowing_and_no_finding():
    said = of_relay(relay(offers=ALL - {"dsn"}), NOW, 1)
    assert [(one.text, one.amiss) for one in said] == [("mx:587 does not offer DSN", False)]


WHOLE = {
    "List-Unsubscribe": "<https://t.shop.example/u/x>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    "List-Id": "<cart.main.shop.example>",
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, [], id="all three"),
        pytest.param({"List-Unsubscribe": "<http://t.shop.example/u/x>"}, ["no https address"], id="no https"),
        pytest.param({"List-Unsubscribe-Post": "x"}, ["no List-Unsubscribe-Post"], id="no one-click"),
        pytest.param({"List-Id": "cart"}, ["no sound List-Id"], id="no List-Id"),
    ],
)
def test_the_header_of_a_mail(changes, expected):
    fields = tuple({**WHOLE, **changes}.items())
    mail = Mail("s", "t", "<p>t</p>", "shop@shop.example", "Kiosk", "1@shop.example", "b@shop.example", headers=fields)
    told = [text for text, _ in links.of_headers(mail)]
    assert len(told) == len(expected)
    assert all(word in text for word, text in zip(expected, told, strict=True))


@pytest.mark.parametrize(
    ("status", "hint"), [(301, "redirect"), (404, "other keys"), (403, "log-in"), (502, "web server")]
)
def test_an_answer_that_is_not_200_has_its_hint(status, hint):
    said = links.of_answer("https://t.shop.example", status)
    assert len(said) == 1
    assert hint in said[0].hint
