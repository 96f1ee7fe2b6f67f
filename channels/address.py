"""One e-mail address, and nothing but one: what is stored is what the relay gets as its only RCPT."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import idna

ATEXT = r"-A-Za-z0-9!#$%&'*+/=?^_`{|}~"
"""RFC 5322 section 3.2.3, without the quoted forms: `"` opens a door to everything else."""

LOCAL = re.compile(rf"[{ATEXT}]+(?:\.[{ATEXT}]+)*")
LOCAL_UTF8 = re.compile(rf"[{ATEXT}\x80-\U0010ffff]+(?:\.[{ATEXT}\x80-\U0010ffff]+)*")
LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
WRITTEN = frozenset({"L", "M", "N", "P", "S"})
"""Unicode classes that are seen: no controls, no direction marks, no blanks, no unassigned ones."""


class BadAddress(ValueError):
    """Not exactly one address. The sentence never holds the address itself."""


@dataclass(frozen=True, slots=True)
class Address:
    """`local` as stored; `domain` in ASCII, a name beyond ASCII as its A-labels (RFC 5890)."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def needs_smtputf8(self) -> bool:
        """Only the part before the at sign can need RFC 6531: a domain always has an ASCII form."""
        return not self.local.isascii()


def one(text: str) -> Address:
    """Exactly one addr-spec (RFC 5321 `Dot-string@Domain`), nothing around it; else `BadAddress`."""
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain:
        raise BadAddress("an address needs a part before and one after its at sign")
    return Address(checked_local(local), checked_domain(domain))


def checked_local(local: str) -> str:
    """The part before the @, unchanged. At most 64 octets (RFC 5321 section 4.5.3.1.1)."""
    if not (LOCAL if local.isascii() else LOCAL_UTF8).fullmatch(local):
        raise BadAddress("the part before the at sign has a sign that a plain address cannot have")
    if "=?" in local or "?=" in local:
        raise BadAddress("the part before the at sign looks like an encoded word")
    if not local.isascii() and any(unicodedata.category(sign)[0] not in WRITTEN for sign in local):
        raise BadAddress("the part before the at sign has an invisible sign")
    if len(local.encode()) > 64:
        raise BadAddress("the part before the at sign is longer than 64 octets")
    return local


def checked_domain(domain: str) -> str:
    """The domain in ASCII. At most 253 octets, labels of letters, digits and hyphens, no bare IP address."""
    if not domain.isascii():
        try:
            domain = idna.encode(domain.lower(), strict=True).decode()
        except (idna.IDNAError, UnicodeError):
            raise BadAddress("the domain is no valid international domain name") from None
    labels = domain.split(".")
    if len(domain) > 253 or not all(LABEL.fullmatch(label) for label in labels):
        raise BadAddress("the domain is no valid domain name")
    if labels[-1].isdigit():
        raise BadAddress("the domain is an IP address")
    return domain
