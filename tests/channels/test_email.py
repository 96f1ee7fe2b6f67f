"""The e-mail channel against real servers: encryption, login, and what its settings refuse."""

import asyncio
from datetime import UTC, datetime, timedelta
from email import message_from_bytes

import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from pydantic import ValidationError

from channels.base import attempt
from channels.email import CHANNEL, Config, Email, own_name, xtext


async def always(message):
    return True


class Handler:
    """Keeps what it is given."""

    def __init__(self):
        self.envelopes = []
        self.secure = []

    async def handle_DATA(self, server, session, envelope):
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        self.secure.append(session.ssl is not None)
        return "250 2.0.0 Ok"


def right(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"shop", b"s3cret"), handled=False)


@pytest.fixture
async def make_server():
    """Start aiosmtpd; `implicit` is a context for TLS from the first byte. Gives its port and handler."""
    servers, connections = [], set()

    async def make(implicit=None, **options):
        handler = Handler()
        loop = asyncio.get_running_loop()

        class Known(SMTP):
            def connection_made(self, transport):
                connections.add(self)
                super().connection_made(transport)

        server = await loop.create_server(
            lambda: Known(handler, hostname="relay.test", loop=loop, **options), "127.0.0.1", 0, ssl=implicit
        )
        servers.append(server)
        return server.sockets[0].getsockname()[1], handler

    yield make
    for server in servers:
        server.close()
    for connection in connections:
        if connection.transport is not None:
            connection.transport.abort()


def test_channel_is_this_one():
    assert CHANNEL is Email


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_starttls(make_server, make_email, make_message, certificate, host):
    port, handler = await make_server(tls_context=certificate.server(), require_starttls=True)
    email = make_email(port, host=host, tls="starttls", ca_file=certificate.cert)
    outcomes = [await attempt(email, make_message(number), always) for number in (1, 2)]
    assert [outcome.state for outcome in outcomes] == ["accepted", "accepted"]
    assert handler.secure == [True, True]
    assert [rcpts for _, rcpts, _ in handler.envelopes] == [["ada@example.org"]] * 2


async def test_implicit_tls(make_server, make_email, make_message, certificate):
    port, handler = await make_server(implicit=certificate.server())
    outcome = await attempt(make_email(port, tls="implicit", ca_file=certificate.cert), make_message(), always)
    assert outcome.state == "accepted"
    assert len(handler.envelopes) == 1


async def test_login(make_server, make_email, make_message, certificate):
    port, handler = await make_server(tls_context=certificate.server(), authenticator=right, auth_required=True)
    options = {"tls": "starttls", "ca_file": certificate.cert, "username": "shop"}
    good = await attempt(make_email(port, password="s3cret", **options), make_message(), always)
    bad = await attempt(make_email(port, password="wrong", **options), make_message(), always)
    assert good.state == "accepted"
    assert (bad.state, bad.code, bad.rest_channel, bad.costs_a_try) == ("retry_wait", "535 5.7.8", True, False)
    assert len(handler.envelopes) == 1


async def test_certificate_that_nobody_vouches_for(make_server, make_email, make_message, certificate):
    port, handler = await make_server(tls_context=certificate.server())
    outcome = await attempt(make_email(port, tls="starttls"), make_message(), always)
    assert (outcome.state, outcome.code, outcome.rest_channel) == ("retry_wait", "tls", True)
    assert outcome.error == "STARTTLS: TLS failed, certificate verify failed"
    assert handler.envelopes == []


async def test_implicit_tls_to_a_relay_that_talks_plainly(make_relay, make_email, make_message):
    relay = await make_relay()
    outcome = await attempt(make_email(relay.port, tls="implicit"), make_message(), always)
    assert (outcome.code, outcome.rest_channel) == ("tls", True)


async def test_relay_without_starttls_gets_nothing(make_relay, make_email, make_message):
    relay = await make_relay()
    outcome = await attempt(make_email(relay.port, tls="starttls"), make_message(), always)
    assert (outcome.code, outcome.rest_channel) == ("starttls", True)
    assert relay.verbs() == ["EHLO"]


async def test_relay_without_login_gets_nothing(make_relay, make_email, make_message):
    relay = await make_relay()
    email = make_email(relay.port, username="shop", password="s3cret")
    outcome = await attempt(email, make_message(), always)
    assert (outcome.code, outcome.rest_channel) == ("login", True)
    assert relay.verbs() == ["EHLO"]


async def test_login_that_fails_for_now_is_tried_again(make_relay, make_email, make_message):
    relay = await make_relay(ehlo=b"250-relay.test\r\n250 AUTH PLAIN\r\n", auth=b"454 4.7.0 later\r\n")
    email = make_email(relay.port, username="shop", password="s3cret")
    outcome = await attempt(email, make_message(), always)
    assert (outcome.state, outcome.code, outcome.rest_channel) == ("retry_wait", "454 4.7.0", False)


async def test_missing_ca_file_rests_the_channel(make_email, make_message, tmp_path):
    outcome = await attempt(make_email(1, tls="starttls", ca_file=tmp_path / "none.pem"), make_message(), always)
    assert (outcome.code, outcome.rest_channel) == ("ca_file", True)


async def test_unknown_host_is_tried_again(make_email, make_message, monkeypatch):
    monkeypatch.setattr("channels.email.FIRST_BYTE", 1.0)  # a resolver that nobody answers may take longer
    outcome = await attempt(make_email(25, host="relay.invalid"), make_message(), always)
    assert (outcome.state, outcome.rest_channel) == ("retry_wait", False)


async def test_mail_is_dated_by_the_clock_that_is_given(make_relay, make_message):
    relay = await make_relay()
    config = Config(host="127.0.0.1", port=relay.port, tls="none", helo="sender.test")
    email = Email(config, now=lambda: datetime(2026, 3, 1, 12, 30, tzinfo=UTC))
    await attempt(email, make_message(), always)
    await email.close()
    assert b"\r\nDate: Sun, 01 Mar 2026 12:30:00 +0000\r\n" in relay.mails[0]


@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
@pytest.mark.parametrize("name", ["asyncio", "uvloop"])
async def test_relay_that_pipelines_over_tls_on_either_loop(certificate, make_message, name, tls):
    """In a loop of its own, in a thread: what the daemon runs on in production."""
    loops = pytest.importorskip(name)

    class Pipelining(Handler):
        async def handle_EHLO(self, server, session, envelope, hostname, responses):
            session.host_name = hostname
            return [responses[0], "250-PIPELINING", *responses[1:]]

    async def story():
        handler, loop, context, open_ = Pipelining(), asyncio.get_running_loop(), certificate.server(), set()

        class Known(SMTP):
            def connection_made(self, transport):
                open_.add(transport)
                super().connection_made(transport)

        options = {"tls_context": context, "require_starttls": True} if tls == "starttls" else {}
        server = await loop.create_server(
            lambda: Known(handler, hostname="relay.test", loop=loop, **options),
            *("127.0.0.1", 0),
            ssl=context if tls == "implicit" else None,
        )
        port = server.sockets[0].getsockname()[1]
        ca_file = None if tls == "none" else certificate.cert
        email = Email(Config(host="localhost", port=port, tls=tls, ca_file=ca_file, helo="a.test", connections=2))
        states = []
        sizes = {number: 400 if number % 5 else 20_000 for number in range(10)}
        messages = [make_message(number, text=f"{number}\n" + "ü. " * size) for number, size in sizes.items()]
        await email.hand_over(messages, always, lambda message, outcome: states.append(outcome.state))
        assert all(line.pipelines for line in email.pool.idle)
        await email.close()
        server.close()
        for transport in open_:
            transport.abort()
        return states, handler

    def run():
        with asyncio.Runner(loop_factory=loops.new_event_loop) as runner:
            return runner.run(story())

    states, handler = await asyncio.to_thread(run)
    assert states == ["accepted"] * 10
    assert handler.secure == [tls == "starttls"] * 10  # aiosmtpd knows of no other
    texts = {message_from_bytes(content).get_payload(0).get_payload(decode=True) for _, _, content in handler.envelopes}
    assert len(texts) == 10


async def test_uvloop_speaks_starttls_too(certificate, make_message):
    """In a loop of its own, in a thread: what the daemon runs on in production."""
    uvloop = pytest.importorskip("uvloop")

    async def story():
        handler = Handler()
        loop = asyncio.get_running_loop()
        context = certificate.server()
        server = await loop.create_server(
            lambda: SMTP(handler, hostname="relay.test", loop=loop, tls_context=context), "127.0.0.1", 0
        )
        port = server.sockets[0].getsockname()[1]
        email = Email(Config(host="localhost", port=port, tls="starttls", ca_file=certificate.cert, helo="a.test"))
        outcome = await attempt(email, make_message(), always)
        await email.close()
        server.close()
        return outcome.state, handler.secure

    def run():
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(story())

    assert await asyncio.to_thread(run) == ("accepted", [True])


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"username": "shop", "tls": "none", "host": "relay.example"}, id="password in clear"),
        pytest.param({"helo": "a b"}, id="blank in the greeting"),
        pytest.param({"helo": "a\r\nRSET"}, id="line break in the greeting"),
        pytest.param({"port": 0}, id="no port"),
        pytest.param({"connections": 0}, id="no connections"),
        pytest.param({"hots": "x"}, id="a misspelt name"),
        pytest.param({"host": ""}, id="no host"),
    ],
)
def test_settings_are_refused(options):
    with pytest.raises(ValidationError):
        Config(**{"host": "relay.example", **options})


def test_settings_describe_themselves_and_keep_the_password():
    config = Config(host="relay.example", username="shop", password="s3cret")
    assert "s3cret" not in f"{config!r} {config}"
    assert all(field.description for field in Config.model_fields.values())
    assert (config.to_dot, config.from_dot) == (timedelta(seconds=30), timedelta(seconds=600))


def test_envelope_id_is_xtext():
    assert xtext("1+a=b ü@x") == "1+2Ba+3Db+20+C3+BC@x"


def test_own_name_can_be_said_in_a_greeting(monkeypatch):
    for given, said in (("shop.example", "shop.example"), ("box", "[127.0.0.1]"), ("b\u00fcx.de", "[127.0.0.1]")):
        monkeypatch.setattr("socket.getfqdn", lambda given=given: given)
        assert own_name() == said
