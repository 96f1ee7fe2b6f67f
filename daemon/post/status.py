"""What a status code says of an address (RFC 3463): that it is dead, that it was in trouble, or that we were."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

Severity = Literal["hard", "soft", "sender"]
SEVERITIES: tuple[Severity, ...] = ("sender", "soft", "hard")
"""Of several recipients behind one address, the one that blames it least counts."""

ENHANCED = re.compile(r"(?<![\d.])([245])\.([0-7])\.(\d{1,3})(?![\d.])")
HARD = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
"""No such mailbox, no such host, no address at all, moved without a trace, none by this name, switched off."""
OURS = ("5.7.", "5.3.", "5.5.", "5.6.", "5.1.7", "5.1.8", "5.2.3")
"""Policy, the system in between, protocol, content, our own address, size: the mail was at fault, not the address."""
NO_ROUTE = "5.4.4"
"""What Postfix says of a host that is not there."""
VAGUE = frozenset({"5.0.0", "5.1.0", "5.2.0"})
GONE = re.compile(
    r"user unknown|unknown user|no such (user|mailbox|recipient|address|person)|no mailbox|not a valid mailbox"
    r"|(user|mailbox|account|address|recipient) (is )?(unknown|not found|does(n't| not) exist)"
    r"|does(n't| not) have an? [\w.]{1,30} account|unbekannt|inconnu|desconocido|sconosciuto|onbekend",
    re.IGNORECASE,
)


def said_by(status: str, diagnostic: str) -> str:
    """The most telling code: the field's own, or a more exact one from what the other server said."""
    own = next(codes(status), "")
    if own and own not in VAGUE:
        return own
    told = [code for code in codes(diagnostic) if code[0] != "2"]
    return next((code for code in told if code not in VAGUE), told[0] if told else own)


def codes(text: str) -> Iterator[str]:
    return (".".join(match.groups()) for match in ENHANCED.finditer(text[:4000]))


def severity(status: str, diagnostic: str) -> Severity:
    """`status` as `said_by` gives it; empty: unknown, so nothing worse than soft is concluded unless it is said."""
    if status in HARD:
        return "hard"
    if status.startswith(OURS):
        return "sender"
    if status.startswith("4."):
        return "soft"
    return "hard" if status in {*VAGUE, ""} and GONE.search(diagnostic[:4000]) else "soft"
