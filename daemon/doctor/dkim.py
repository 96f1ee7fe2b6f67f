"""The public key that the relay's signature is checked with (RFC 6376, RFC 8301, RFC 8463)."""

from __future__ import annotations

import base64
import binascii

from daemon.doctor.reason import Reason

LEAST_BITS, GOOD_BITS = 1024, 2048
ED25519_OCTETS = 32


def of_dkim(name: str, texts: list[str]) -> list[Reason]:
    """What is wrong with the key records found at `name`, which is selector._domainkey.domain."""
    records = [tags for text in texts if (tags := tags_of(text)) is not None and tags.get("v", "DKIM1") == "DKIM1"]
    if not any("p" in tags for tags in records):
        return [_wrong(f"there is no DKIM key at {name}", "publish the record that your relay shows for this selector")]
    if len(records) > 1:
        return [_wrong(f"there are {len(records)} DKIM keys at {name} where one is allowed", "keep the relay's")]
    tags = records[0]
    key = "".join(tags["p"].split())
    if not key:
        return [_wrong(f"the DKIM key at {name} is revoked (empty p=)", "let the relay sign with another selector")]
    found = _of_the_key(name, tags.get("k", "rsa").lower(), key)
    if "y" in tags.get("t", "").replace(" ", "").split(":"):
        found.append(_wrong(f"the DKIM key at {name} says t=y: receivers treat it as a test", "take t=y out"))
    return found


def _of_the_key(name: str, kind: str, key: str) -> list[Reason]:
    try:
        octets = base64.b64decode(key, validate=True)
    except binascii.Error:
        return [_wrong(f"the DKIM key at {name} is no base64", "copy it again, in one piece and without quotes")]
    if kind == "ed25519":
        whole = len(octets) == ED25519_OCTETS
        return [] if whole else [_wrong(f"the Ed25519 key at {name} has {len(octets)} octets, not 32", "copy it again")]
    if kind != "rsa":
        return [_wrong(f'the DKIM key at {name} is of an unknown kind, "{kind}"', "rsa is understood everywhere")]
    bits = rsa_bits(octets)
    if bits is None:
        return [_wrong(f"the DKIM key at {name} is no RSA key", "it was cut off: copy it again")]
    if bits < LEAST_BITS:
        return [_wrong(f"the DKIM key at {name} has {bits} bits; receivers ignore it", "make one of 2048 bits")]
    if bits < GOOD_BITS:
        text = f"the DKIM key at {name} has {bits} bits"
        return [Reason("dkim", text, "2048 are advised (RFC 8301)", amiss=False)]
    return []


def tags_of(text: str) -> dict[str, str] | None:
    """`v=DKIM1; p=…` as a mapping; None where it is no list of tags (RFC 6376 section 3.2)."""
    tags: dict[str, str] = {}
    for part in text.strip().rstrip(";").split(";"):
        word, sign, value = part.partition("=")
        if not sign or word.strip() in tags:
            return None
        tags[word.strip()] = value.strip()
    return tags


def rsa_bits(octets: bytes) -> int | None:
    """Length of the modulus in a SubjectPublicKeyInfo, or in a bare RSAPublicKey (RFC 8017 A.1.1); None for others."""
    try:
        inside = _content(octets, 0x30)[0]
        if inside[:1] == b"\x30":
            _, rest = _content(inside, 0x30)
            bits, _ = _content(rest, 0x03)
            inside = _content(bits[1:], 0x30)[0]
        modulus, _ = _content(inside, 0x02)
    except (IndexError, ValueError):
        return None
    return int.from_bytes(modulus).bit_length()


def _content(octets: bytes, tag: int) -> tuple[bytes, bytes]:
    """The value of the first DER element, and what follows it. Raises ValueError for another one or one cut off."""
    if octets[0] != tag:
        raise ValueError("another element")
    size, start = octets[1], 2
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(octets[2:start])
    if len(octets) < start + size:
        raise ValueError("cut off")
    return octets[start : start + size], octets[start + size :]


def _wrong(text: str, hint: str) -> Reason:
    return Reason("dkim", text, hint)
