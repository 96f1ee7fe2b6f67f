"""No address that a stranger gives us leads to the inside: counted at a server that nobody may reach."""

import asyncio
import random
import re
import socket

import pytest
from aiohttp.abc import AbstractResolver

from channels import outbound
from channels.http import Asking
from channels.outbound import Allowed, Forbidden, Outbound, allowed, is_public, target

V4 = ["127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254",
      "100.64.0.1", "100.127.255.254", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.19.255.255", "198.51.100.7",
      "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.88.99.1"]  # fmt: skip
V6 = ["::1", "::", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:7f00:1", "::127.0.0.1", "64:ff9b::7f00:1",
      "64:ff9b::127.0.0.1", "64:ff9b:1::7f00:1", "fe80::1", "fec0::1", "fc00::1", "fd12:3456::1", "ff02::1", "100::1",
      "2001::1", "2001:db8::1", "2002:7f00:1::1", "3fff::1", "5f00::1", "2001:10::1", "fe80::1%lo"]  # fmt: skip
NUMBERS = ["2130706433", "0x7f000001", "017700000001", "0x7f.0x0.0x0.0x1", "0177.0.0.1", "127.1", "127.0.1", "0",
           "0x7f.1", "127.000.000.001", "00000177.0.0.1", "127.0.0.1.", "4294967297", "0x100000000", "1e9",
           "１２７.0.0.1", "①②⑦.0.0.1", "127。0。0。1", "%31%32%37.0.0.1", "0x7f000001."]  # fmt: skip
NAMES = ["localhost", "localhost.", "LOCALHOST", "localhost.localdomain", "ip6-localhost", "metadata.google.internal",
         "internal", "router.lan", "db.local", "fcm.googleapis.com.evil.test", "evilfcm.googleapis.com.evil.test",
         "push.apple.com.evil.test", "xpush.apple.com", "push.apple.com", "fcm.googleapis.com.",
         "fcm.googleapis.com%00.evil.test", "fcm-googleapis.com", "127.0.0.1.nip.io", "a..push.apple.com",
         "-a.push.apple.com", "a_b.push.apple.com"]  # fmt: skip
WHOLE = [
    "http://fcm.googleapis.com/x",
    "ftp://fcm.googleapis.com/x",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "data:text/plain,x",
    "javascript:alert(1)",
    "//fcm.googleapis.com/x",
    "https:fcm.googleapis.com/x",
    "https:///fcm.googleapis.com/x",
    "https://",
    "https://?x",
    "",
    " https://fcm.googleapis.com/x",
    "https://fcm.googleapis.com/x\r\nHost: inside",
    "https://fcm.googleapis.com\t/x",
    "https://fcm.googleapis.com:8443/x",
    "https://fcm.googleapis.com:80/x",
    "https://fcm.googleapis.com:0/x",
    "https://fcm.googleapis.com:99999/x",
    "https://fcm.googleapis.com:22a/x",
    "https://fcm.googleapis.com@127.0.0.1/x",
    "https://user@fcm.googleapis.com/x",
    "https://user:word@fcm.googleapis.com/x",
    "https://@fcm.googleapis.com/x",
    "https://127.0.0.1#@fcm.googleapis.com/x",
    "https://fcm.googleapis.com#@127.0.0.1/x",
    "https://127.0.0.1\\@fcm.googleapis.com/x",
    "https://fcm.googleapis.com\\@127.0.0.1/x",
    "https://127.0.0.1?@fcm.googleapis.com/x",
    "https://127.0.0.1/@fcm.googleapis.com/x",
    "https://[::1]@fcm.googleapis.com/x",
    "https://fcm.googleapis.com/" + "x" * 2048,
    "https://fcm.googleapis.com/é",
    "https://[fcm.googleapis.com]/x",
    "https://[v1.fe]/x",
]
FORMS = [
    *(f"https://{one}/x" for one in (*V4, *NUMBERS, *NAMES)),
    *(f"https://[{one}]/x" for one in V6),
    *(f"https://{one}:{{port}}/x" for one in V4[:5]),
    *WHOLE,
]
INSIDE = ["rebinds", "private", "mixed", "mapped", "six"]
"""Names that are allowed, under which the resolver has something else."""


class Names(AbstractResolver):
    """What a stranger's name server might answer."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list:
        self.asked.append(host)
        found = {
            "private.push.apple.com": ["10.0.0.1"],
            "mixed.push.apple.com": ["17.57.144.1", "127.0.0.1"],
            "mapped.push.apple.com": ["::ffff:127.0.0.1"],
            "six.push.apple.com": ["::1"],
        }.get(host, ["127.0.0.1"])
        return [self.found(host, one) for one in found]

    def found(self, host: str, address: str) -> dict:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        known = {"hostname": host, "host": address, "port": self.port, "family": family}
        return {**known, "proto": socket.IPPROTO_TCP, "flags": socket.AI_NUMERICHOST}

    async def close(self) -> None:
        pass


@pytest.fixture
async def canary():
    """A server on the inside; `.hits` counts who connected."""

    async def connected(reader, writer):
        server.hits += 1
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    server.hits = 0
    server.port = server.sockets[0].getsockname()[1]
    yield server
    server.close()


HOSTS = Allowed(("fcm.googleapis.com", "*.push.apple.com", "*.push.services.mozilla.com", "*.notify.windows.com"))


async def yes() -> bool:
    return True


async def asked(client: Outbound, url: str) -> str:
    try:
        async with client.posted(target(url, client.may), {}, Asking(b"x", "text/plain", yes)) as response:
            return str(response.status)
    except Forbidden as error:
        return f"forbidden: {error}"


async def test_no_form_of_an_address_reaches_the_inside(canary):
    names = Names(canary.port)
    client = Outbound(HOSTS, resolver=names)
    forms = [form.format(port=canary.port) if "{port}" in form else form for form in FORMS]
    told = {form: await asked(client, form) for form in forms}
    assert len(told) >= 120
    assert {form: word for form, word in told.items() if not word.startswith("forbidden")} == {}
    assert names.asked == [], "none of them was even looked up"
    inside = {name: await asked(client, f"https://{name}.push.apple.com/x") for name in INSIDE}
    assert set(inside.values()) == {"forbidden: its name leads to an address that is not public"}
    assert len(names.asked) == len(INSIDE), (
        "each name is looked up once, and what was looked at is what is connected to"
    )
    assert canary.hits == 0
    await client.close()


@pytest.mark.parametrize("address", [*V4, *V6])
def test_address_that_is_not_public_is_refused_at_the_socket_too(address):
    assert not is_public(address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    place = (address, 443, 0, 0) if ":" in address else (address, 443)
    with pytest.raises(Forbidden):
        Outbound(HOSTS).socket((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place))


@pytest.mark.parametrize("address", ["17.57.144.1", "142.250.1.1", "2a00:1450:4001::1", "9.255.255.255", "100.128.0.1"])
def test_public_address_is_public(address):
    assert is_public(address)


@pytest.mark.parametrize("host", ["evil.example", "fcm.googleapis.com.evil.example", "googleapis.com"])
def test_host_that_nobody_allowed_is_not_asked(host):
    with pytest.raises(Forbidden):
        target(f"https://{host}/x", allowed(["fcm.googleapis.com", "*.push.apple.com"]))


@pytest.mark.parametrize(
    "url",
    [
        "https://fcm.googleapis.com/fcm/send/abc:APA91b-_",
        "https://fcm.googleapis.com:443/wp/x",
        "https://updates.push.services.mozilla.com/wpush/v2/gAAAA",
        "https://wns2-par02p.notify.windows.com/w/?token=BQYAAA%2b%2f",
        "https://web.push.apple.com/QGx",
    ],
)
def test_endpoints_of_the_known_push_services_are_allowed(url):
    assert str(target(url, HOSTS).url) in (url, url.replace(":443", ""))


async def test_operators_own_origin_is_asked_wherever_it_lies_and_no_redirect_is_followed(canary, unused_tcp_port):
    async def redirects(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        place = f"http://127.0.0.1:{canary.port}/inside"
        writer.write(f"HTTP/1.1 307 No\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(redirects, "127.0.0.1", unused_tcp_port)
    client = Outbound(allowed([f"http://127.0.0.1:{unused_tcp_port}"]))
    assert await asked(client, f"http://127.0.0.1:{unused_tcp_port}/push/1") == "307"
    assert await asked(client, f"http://127.0.0.1:{canary.port}/push/1") == "forbidden: only https on port 443 is asked"
    assert canary.hits == 0
    await client.close()
    server.close()


async def test_proxy_of_the_environment_is_not_asked(canary, monkeypatch, unused_tcp_port):
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
    client = Outbound(allowed([f"http://127.0.0.1:{unused_tcp_port}"]))
    with pytest.raises(OSError, match="Cannot connect"):
        await asked(client, f"http://127.0.0.1:{unused_tcp_port}/x")
    assert canary.hits == 0
    await client.close()


@pytest.mark.parametrize(
    "word", ["127.0.0.1", "https://push.example/", "push", "*", "https://u@push.example", "*.com/x"]
)
def test_host_that_could_not_be_meant_is_refused(word):
    with pytest.raises(ValueError, match="not"):
        allowed([word])


PIECES = [
    *("https://", "http://", "HTTPS://", "fcm.googleapis.com", "web.push.apple.com", "push.apple.com", "evil.example"),
    *(
        "own.example",
        "127.0.0.1",
        "[::1]",
        "x@",
        "@",
        ":443",
        ":80",
        ":",
        "/",
        "/x",
        "//",
        "?",
        "#",
        "\\",
        "%2e",
        "%40",
    ),
    *(".", "..", "-", "*.", "\n", " ", "é", "A", ";"),
]


def test_address_of_the_usual_form_is_read_as_any_other(monkeypatch):
    """What is told at a glance is told by the two readers, too, which are asked about everything else."""
    chance = random.Random(7)
    may = allowed(("fcm.googleapis.com", "*.push.apple.com", "https://own.example"))
    urls = ["https://" + "".join(chance.choices(PIECES, k=chance.randint(1, 4))) for _ in range(4000)]
    glanced = [read(url, may) for url in urls]
    assert len([one for one in glanced if one]) > 20
    monkeypatch.setattr(outbound, "USUAL", re.compile("(?!)"))
    assert [read(url, may) for url in urls] == glanced


def read(url, may):
    try:
        found = target(url, may)
    except Forbidden:
        return None
    return str(found.url), found.url.raw_host, found.origin
