"""SPF, DKIM and DMARC of a sender, asked of a name server of our own."""

from __future__ import annotations

import base64

import pytest

from daemon.doctor import dkim, dmarc, names, spf
from daemon.doctor.mail import in_the_dns
from daemon.doctor.names import Offline

FROM = "shop.example"


def txt(*texts: str) -> list[str]:
    """As a zone file has them: in strings of at most 255 octets."""
    return [" ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200)) for text in texts]


def rsa(bits: int) -> str:
    """A public key of that length as DKIM writes it: SubjectPublicKeyInfo in base64 (its number is no product)."""

    def der(tag: int, content: bytes) -> bytes:
        size = len(content)
        head = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2)
        return bytes([tag]) + head + content

    modulus = der(2, b"\0" + ((1 << (bits - 1)) + 1).to_bytes(bits // 8))
    key = der(0x30, modulus + der(2, b"\1\0\1"))
    algorithm = der(0x30, bytes.fromhex("06092a864886f70d0101010500"))
    return base64.b64encode(der(0x30, algorithm + der(3, b"\0" + key))).decode()


GOOD = {
    (FROM, "TXT"): txt("google-site-verification=x", "v=spf1 include:relay.example ~all"),
    ("relay.example", "TXT"): txt("v=spf1 ip4:192.0.2.0/24 -all"),
    (f"_dmarc.{FROM}", "TXT"): txt("v=DMARC1; p=none; rua=mailto:d@shop.example"),
    (f"s1._domainkey.{FROM}", "TXT"): txt(f"v=DKIM1; k=rsa; p={rsa(2048)}"),
    (FROM, "MX"): ["10 mx.shop.example."],
}


async def said(make_names, changes, envelope=FROM, selectors=("s1",)):
    resolver, _ = await make_names({key: rows for key, rows in {**GOOD, **changes}.items() if rows})
    return await in_the_dns(FROM, envelope, selectors, resolver)


async def test_a_sound_domain_has_no_findings(make_names):
    assert await said(make_names, {}) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({(FROM, "TXT"): []}, "shop.example has no SPF record", id="no SPF"),
        pytest.param(
            {(FROM, "TXT"): txt("v=spf1 -all", "v=spf1 ~all")},
            "shop.example has 2 SPF records where one is allowed",
            id="two SPF records",
        ),
        pytest.param(
            {(FROM, "TXT"): txt("v=spf1 include:gone.example ~all")},
            "the SPF record leads to gone.example, which has none",
            id="an include that is not there",
        ),
        pytest.param(
            {(FROM, "TXT"): txt("v=spf1 ip4:192.0.2.1 +all")},
            "the SPF record of shop.example ends with +all: everybody may use it",
            id="SPF for everybody",
        ),
        pytest.param(
            {(FROM, "TXT"): txt("v=spf1 ip4:192.0.2.1")},
            "the SPF record of shop.example ends with no all, so it forbids nobody anything",
            id="SPF without an end",
        ),
        pytest.param(
            {(FROM, "TXT"): txt("v=spf1 ipv4:192.0.2.1 -all")},
            '"ipv4:192.0.2.1" in the record of shop.example is no term of SPF',
            id="a word that SPF does not know",
        ),
        pytest.param(
            {(FROM, "TXT"): txt("v=spf1 " + " ".join(f"a:h{n}.example" for n in range(11)) + " -all")},
            "the SPF record of shop.example costs 11 lookups; more than 10 are an error",
            id="eleven lookups",
        ),
        pytest.param(
            {(f"s1._domainkey.{FROM}", "TXT"): []}, f"there is no DKIM key at s1._domainkey.{FROM}", id="no key"
        ),
        pytest.param(
            {(f"s1._domainkey.{FROM}", "TXT"): txt("v=DKIM1; p=")},
            f"the DKIM key at s1._domainkey.{FROM} is revoked (empty p=)",
            id="a revoked key",
        ),
        pytest.param(
            {(f"s1._domainkey.{FROM}", "TXT"): txt(f"v=DKIM1; p={rsa(512)}")},
            f"the DKIM key at s1._domainkey.{FROM} has 512 bits; receivers ignore it",
            id="a short key",
        ),
        pytest.param({(f"_dmarc.{FROM}", "TXT"): []}, "shop.example has no DMARC record", id="no DMARC"),
        pytest.param(
            {(f"_dmarc.{FROM}", "TXT"): txt("v=DMARC1; p=nothing")},
            "_dmarc.shop.example says p=nothing, which is none of none, quarantine, reject",
            id="a DMARC policy that there is not",
        ),
        pytest.param(
            {(FROM, "MX"): []}, "shop.example takes no mail (neither MX nor address), so bounces are lost", id="no MX"
        ),
        pytest.param(
            {(FROM, "MX"): ["0 ."], (FROM, "A"): ["192.0.2.1"]},
            "shop.example takes no mail (its MX says so), so bounces are lost",
            id="an MX that says that there is none",
        ),
    ],
)
async def test_what_is_wrong_in_the_dns_is_told(make_names, changes, expected):
    assert [one.text for one in await said(make_names, changes) if one.amiss] == [expected]


async def test_a_redirect_ends_as_where_it_leads(make_names):
    changes = {(FROM, "TXT"): txt("v=spf1 redirect=relay.example")}
    assert await said(make_names, changes) == []


async def test_an_include_that_includes_itself_comes_to_an_end(make_names):
    resolver, _ = await make_names({(FROM, "TXT"): txt(f"v=spf1 include:{FROM} -all")})
    assert (await spf.read(FROM, resolver.texts)).lookups > spf.MOST_LOOKUPS


async def test_bounces_elsewhere_need_a_signature_that_aligns(make_names):
    envelope = {("mail.relay.example", "TXT"): txt("v=spf1 -all"), ("mail.relay.example", "MX"): ["10 mx."]}
    signed = await said(make_names, envelope, "mail.relay.example")
    assert [(one.about, one.amiss) for one in signed] == [("dmarc", False)]
    key = {**envelope, ("s1._domainkey.relay.example", "TXT"): txt(f"v=DKIM1; p={rsa(2048)}")}
    unsigned = await said(make_names, key, "mail.relay.example", ("s1@relay.example",))
    assert [(one.about, one.amiss) for one in unsigned] == [("dmarc", True), ("dmarc", True)]


async def test_without_a_selector_the_key_is_not_known_and_that_is_no_finding(make_names):
    assert [(one.about, one.amiss) for one in await said(make_names, {}, selectors=())] == [("dkim", False)]


async def test_without_name_servers_nothing_is_said_of_a_domain(make_names, monkeypatch):
    monkeypatch.setattr(names, "PATIENCE", 0.2)
    resolver, _ = await make_names(GOOD, silent=True)
    with pytest.raises(Offline, match=FROM):
        await resolver.texts(FROM)


@pytest.mark.parametrize(
    ("one", "at", "strict", "expected"),
    [
        pytest.param("shop.example", "shop.example", True, True, id="the same"),
        pytest.param("bounce.shop.example", "shop.example", False, True, id="under it, relaxed"),
        pytest.param("bounce.shop.example", "shop.example", True, False, id="under it, strict"),
        pytest.param("notshop.example", "shop.example", False, False, id="only the same end"),
        pytest.param("relay.example", "shop.example", False, False, id="another one"),
    ],
)
def test_alignment(one, at, strict, expected):
    assert dmarc.aligned(one, "shop.example", dmarc.Policy(at, {}), strict) is expected


def test_sisters_align_under_the_domain_of_their_owner():
    policy = dmarc.Policy("kaffee.example", {})
    assert dmarc.aligned("bounce.kaffee.example", "news.kaffee.example", policy, strict=False)
    assert not dmarc.aligned("bounce.tee.example", "news.kaffee.example", policy, strict=False)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(f"v=DKIM1; p={rsa(1024)}", False, id="1024 bits are advised against"),
        pytest.param(f"v=DKIM1; p={rsa(2048)[:60]}", True, id="a key that was cut off"),
        pytest.param("v=DKIM1; p=***", True, id="no base64"),
        pytest.param(f"v=DKIM1; k=ed25519; p={base64.b64encode(bytes(31)).decode()}", True, id="31 octets of Ed25519"),
        pytest.param(f"v=DKIM1; t=y; p={rsa(2048)}", True, id="a test"),
    ],
)
def test_a_key_that_is_not_right(record, expected):
    assert [one.amiss for one in dkim.of_dkim("s._domainkey.shop.example", [record])] == [expected]


async def test_sisters_align_though_one_of_them_has_a_record_of_its_own(make_names):
    """The organisation is taken to be the highest domain that has a record (RFC 7489 section 3.2)."""
    resolver, _ = await make_names(
        {
            ("_dmarc.news.kaffee.example", "TXT"): txt("v=DMARC1; p=reject; rua=mailto:d@kaffee.example"),
            ("_dmarc.kaffee.example", "TXT"): txt("v=DMARC1; p=none; rua=mailto:d@kaffee.example"),
        }
    )
    policy, problems = await dmarc.find("news.kaffee.example", resolver.texts)
    assert policy is not None
    assert (policy.at, policy.tags["p"], problems) == ("news.kaffee.example", "reject", [])
    assert dmarc.of_dmarc("news.kaffee.example", "bounce.kaffee.example", (), policy, []) == []


def test_the_policy_of_a_domain_above_is_the_one_for_those_below():
    policy = dmarc.Policy("kaffee.example", {"p": "none", "sp": "maybe", "rua": "mailto:x@kaffee.example"})
    told = "_dmarc.kaffee.example says p=maybe, which is none of none, quarantine, reject"
    assert [one.text for one in dmarc.of_dmarc("news.kaffee.example", "kaffee.example", (), policy, [])] == [told]
    assert dmarc.of_dmarc("kaffee.example", "kaffee.example", (), policy, []) == []


async def test_ptr_is_advised_against_and_hides_nothing(make_names):
    found = await said(make_names, {(FROM, "TXT"): txt("v=spf1 ptr +all")})
    assert [(one.about, one.amiss) for one in found] == [("spf", False), ("spf", True)]
