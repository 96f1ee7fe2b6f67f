"""Who is asking, as far as it is believed and kept."""

from ipaddress import ip_network

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from daemon.web.edge import FAILURES, WATCHED, Failures, clean, client_address, kept_network, user_agent

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


class Transport:
    """As much of a connection as a request looks at."""

    def __init__(self, address: str) -> None:
        self.address = address

    def get_extra_info(self, name: str, default: object = None) -> object:
        return (self.address, 4711) if name == "peername" else default


def request(address: str, *forwarded: str):
    headers = [("X-Forwarded-For", line) for line in forwarded]
    return make_mocked_request("GET", "/", headers=CIMultiDict(headers), transport=Transport(address))


@pytest.mark.parametrize(
    ("address", "forwarded", "expected"),
    [
        pytest.param("192.0.2.7", [], "192.0.2.7", id="no proxy"),
        pytest.param("192.0.2.7", ["203.0.113.9"], "192.0.2.7", id="a stranger's word is not believed"),
        pytest.param("10.0.0.1", ["203.0.113.9"], "203.0.113.9", id="our proxy's is"),
        pytest.param("10.0.0.1", ["198.51.100.1, 203.0.113.9"], "203.0.113.9", id="what a client put before is not"),
        pytest.param("10.0.0.1", ["203.0.113.9, 10.1.1.1"], "203.0.113.9", id="two proxies of ours"),
        pytest.param("10.0.0.1", ["203.0.113.9", "10.1.1.1"], "203.0.113.9", id="in two lines"),
        pytest.param("10.0.0.1", ["nonsense"], "10.0.0.1", id="nonsense"),
        pytest.param("10.0.0.1", ["10.2.2.2, 10.1.1.1"], "10.2.2.2", id="a client inside"),
        pytest.param("fd00::1", ["2001:db8::5"], "2001:db8::5", id="over IPv6"),
    ],
)
def test_client_address(address, forwarded, expected):
    assert client_address(request(address, *forwarded), PROXIES) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", ""),
        ("unix", ""),
    ],
)
def test_an_address_is_never_kept_whole(address, expected):
    assert kept_network(address) == expected


def test_the_sixty_first_failure_of_a_network_within_a_minute_is_too_many():
    failures = Failures()
    assert not any(failures.too_many(f"192.0.2.{n}", 5.0) for n in range(FAILURES))
    assert failures.spent("192.0.2.77", 64.9)
    assert not failures.spent("192.0.3.1", 64.9)
    assert not failures.spent("192.0.2.77", 65.0)
    assert failures.too_many("192.0.2.200", 64.9)
    assert not failures.too_many("192.0.3.1", 5.0)
    assert not failures.too_many("192.0.2.1", 65.0)


def test_failures_of_many_networks_take_bounded_memory():
    failures = Failures()
    for n in range(WATCHED + 500):
        failures.too_many(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 0.0)
        failures.too_many(f"2001:db8:{n:x}::1", 0.0)
    assert len(failures.counts) <= WATCHED


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("Mozilla/5.0", "Mozilla/5.0"),
        ("", ""),
        ("a\ud800b\x00c", "a?b?c"),
        ("K\u00e4se \U0001f600", "K\u00e4se \U0001f600"),
    ],
)
def test_what_no_database_takes_is_cleaned_away(sent, kept):
    assert clean(sent) == kept


def test_a_client_with_a_very_long_name_is_cut():
    assert user_agent(make_mocked_request("GET", "/", headers={"User-Agent": "x" * 400})) == "x" * 300
