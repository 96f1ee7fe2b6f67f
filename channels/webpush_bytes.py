"""What a push is on the wire: a payload that only the browser can read, and who we are.

RFC 8291 (encryption), RFC 8188 (its form, aes128gcm), RFC 8292 (VAPID). Tests read it with http_ece and pywebpush.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CURVE = ec.SECP256R1()
RECORD = 4096
MOST = 3993
"""Bytes of payload that fit into one record of 4,096, with its head, padding sign and tag."""
LETTERS = bytes.maketrans(b"-_", b"+/")
"""From base64url's to base64's."""
INNER = bytes(octet ^ 0x36 for octet in range(256))
OUTER = bytes(octet ^ 0x5C for octet in range(256))
AGREE = ec.ECDH()
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class BadKey(ValueError):
    """It is not a key of the form that is needed; the text does not repeat it."""


def text64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def bytes64(text: str) -> bytes:
    """From base64url, with padding or without. Raises `BadKey`."""
    plain = text.rstrip("=")
    try:
        usual = (plain + "=" * (-len(plain) % 4)).encode("ascii").translate(LETTERS)
        return binascii.a2b_base64(usual, strict_mode=True)
    except ValueError:
        raise BadKey("it is not base64url") from None


def point(p256dh: str) -> ec.EllipticCurvePublicKey:
    """A browser's public key: 65 bytes, uncompressed, on the curve. Raises `BadKey`."""
    return point_of(bytes64(p256dh))


def point_of(raw: bytes) -> ec.EllipticCurvePublicKey:
    if len(raw) != 65 or raw[0] != 4:
        raise BadKey("p256dh is not 65 bytes of an uncompressed point")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(CURVE, raw)
    except ValueError:
        raise BadKey("p256dh is not a point on the curve P-256") from None


def secret(auth: str) -> bytes:
    """A browser's authentication secret: 16 bytes. Raises `BadKey`."""
    raw = bytes64(auth)
    if len(raw) != 16:
        raise BadKey("auth is not 16 bytes")
    return raw


def written(public: ec.EllipticCurvePublicKey) -> bytes:
    """65 bytes, uncompressed."""
    return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def sealed(payload: bytes, p256dh: str, auth: str) -> bytes:
    """The body of a push, each with a key pair and a salt of its own. Raises `BadKey`, also for a payload that is too
    long for one record."""
    if len(payload) > MOST:
        raise BadKey(f"the payload is longer than {MOST} bytes")
    raw = bytes64(p256dh)
    theirs = point_of(raw)
    own = ec.generate_private_key(CURVE)
    ours = written(own.public_key())
    salt = os.urandom(16)
    shared = own.exchange(AGREE, theirs)
    info = b"WebPush: info\0" + raw + ours
    material = derived(secret(auth), shared, info, 32)
    extracted = pads(mac(pads(salt), material))
    key = mac(extracted, b"Content-Encoding: aes128gcm\0\1")[:16]
    nonce = mac(extracted, b"Content-Encoding: nonce\0\1")[:12]
    head = salt + RECORD.to_bytes(4, "big") + bytes([len(ours)]) + ours
    return head + AESGCM(key).encrypt(nonce, payload + b"\2", None)


def derived(salt: bytes, material: bytes, info: bytes, length: int) -> bytes:
    """HKDF with SHA-256 (RFC 5869), for up to 32 bytes."""
    return mac(pads(mac(pads(salt), material)), info + b"\1")[:length]


def pads(key: bytes) -> tuple[bytes, bytes]:
    """Of a key of at most 64 bytes, what HMAC puts before its two hashes (RFC 2104)."""
    block = key.ljust(64, b"\0")
    return block.translate(INNER), block.translate(OUTER)


def mac(key: tuple[bytes, bytes], message: bytes) -> bytes:
    """HMAC with SHA-256. `hmac.digest` says the same and takes twice as long: it looks its hash up each time."""
    inner, outer = key
    return hashlib.sha256(outer + hashlib.sha256(inner + message).digest()).digest()


@dataclass(frozen=True, slots=True, repr=False)
class Signer:
    """The key pair by which push services know us (VAPID)."""

    private: ec.EllipticCurvePrivateKey
    public: str
    """As the browser wants it for `applicationServerKey`, and the push service as `k`: base64url of 65 bytes."""

    def header(self, origin: str, subject: str, expires: int) -> str:
        """The Authorization field for one origin; `expires` in seconds since 1970, at most 24 h from now, `subject` a
        mailto: or https: address."""
        head = text64(b'{"typ":"JWT","alg":"ES256"}')
        claims = json.dumps({"aud": origin, "exp": expires, "sub": subject}, separators=(",", ":"))
        signed = f"{head}.{text64(claims.encode())}"
        r, s = decode_dss_signature(self.private.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"vapid t={signed}.{text64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}, k={self.public}"


def signer(private: str) -> Signer:
    """From the private key as base64url of its 32 bytes. Raises `BadKey`."""
    raw = bytes64(private)
    if len(raw) != 32:
        raise BadKey("the private key is not 32 bytes")
    return signer_of(int.from_bytes(raw, "big"))


def signer_of(number: int) -> Signer:
    if not 0 < number < ORDER:
        raise BadKey("the private key is no number of the curve P-256")
    key = ec.derive_private_key(number, CURVE)
    return Signer(key, text64(written(key.public_key())))


def made() -> str:
    """A new private key, as `signer` takes it."""
    number = ec.generate_private_key(CURVE).private_numbers().private_value
    return text64(number.to_bytes(32, "big"))


def made_from(seed: bytes) -> str:
    """The private key that belongs to a secret kept elsewhere: always the same (FIPS 186-5, A.2.1: extra bits)."""
    wide = derived(b"tillbell web push", seed, b"1", 32) + derived(b"tillbell web push", seed, b"2", 32)
    number = int.from_bytes(wide, "big") % (ORDER - 1) + 1
    return text64(number.to_bytes(32, "big"))
