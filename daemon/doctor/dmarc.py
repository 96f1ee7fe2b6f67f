"""DMARC of the From domain (RFC 7489), and whether SPF or DKIM can align with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from daemon.doctor.dkim import tags_of
from daemon.doctor.reason import Reason

Texts = Callable[[str], Awaitable[list[str]]]
POLICIES = ("none", "quarantine", "reject")


@dataclass(frozen=True, slots=True)
class Policy:
    """`at`: the domain whose record it is, the From domain or one above it. `owner`: the highest one that has a record,
    which stands for the organisation: the same as `at` where it is empty."""

    at: str
    tags: dict[str, str]
    owner: str = ""


async def find(domain: str, texts: Texts) -> tuple[Policy | None, list[str]]:
    """The policy that covers the From domain, and what is wrong on the way: asked of the domain and of those above it,
    never of a top-level one. Raises what `texts` raises."""
    found: Policy | None = None
    labels = domain.lower().rstrip(".").split(".")
    for start in range(max(1, len(labels) - 1)):
        name = ".".join(labels[start:])
        records = [
            text for text in await texts(f"_dmarc.{name}") if text.replace(" ", "").lower().startswith("v=dmarc1")
        ]
        if len(records) > 1:
            problem = f"_dmarc.{name} has {len(records)} DMARC records: receivers ignore them all"
            return found, [] if found else [problem]
        if records:
            tags = tags_of(records[0])
            if tags is None:
                return found, [] if found else [f"the record at _dmarc.{name} cannot be read"]
            found = replace(found, owner=name) if found else Policy(name, tags)
    return found, []


def aligned(one: str, sender: str, policy: Policy | None, strict: bool) -> bool:
    """Whether a domain of SPF or DKIM stands for the From domain. Relaxed: both lie under one domain of their owner,
    which is taken to be the highest one that has a record, without a list of public suffixes."""
    one, sender = one.lower(), sender.lower()
    if one == sender:
        return True
    if strict:
        return False
    if one.endswith(f".{sender}") or sender.endswith(f".{one}"):
        return True
    owner = (policy.owner or policy.at) if policy is not None else ""
    return bool(owner) and owner != sender and (one == owner or one.endswith(f".{owner}"))


def of_dmarc(
    sender: str, envelope: str, signers: Sequence[str], policy: Policy | None, problems: Sequence[str]
) -> list[Reason]:
    """`sender`: domain of From; `envelope`: of the return path; `signers`: of the known DKIM selectors."""
    if policy is None:
        text = problems[0] if problems else f"{sender} has no DMARC record"
        hint = f'add TXT "v=DMARC1; p=none; rua=mailto:…" at _dmarc.{sender}: large mailbox providers ask for one'
        return [Reason("dmarc", text, hint)]
    found = _of_the_record(policy, sender)
    spf = aligned(envelope, sender, policy, policy.tags.get("aspf", "r").lower() == "s")
    strict = policy.tags.get("adkim", "r").lower() == "s"
    dkim = [one for one in signers if aligned(one, sender, policy, strict)]
    if not spf:
        text = f"mails come back to {envelope}, which does not align with {sender}: SPF does not count for DMARC"
        hint = f"set `bounce_domain` to {sender} or a name under it"
        found.append(Reason("dmarc", text, hint, amiss=not dkim))
    if signers and not dkim:
        text = f"the relay signs as {', '.join(signers)}, which does not align with {sender}"
        found.append(Reason("dmarc", text, f"let it sign as {sender}", amiss=True))
    return found


def _of_the_record(policy: Policy, sender: str) -> list[Reason]:
    wish = policy.tags.get("p", "").lower()
    if policy.at != sender:
        wish = policy.tags.get("sp", wish).lower()
    at = f"_dmarc.{policy.at}"
    if wish not in POLICIES:
        return [Reason("dmarc", f"{at} says p={wish}, which is none of {', '.join(POLICIES)}", "begin with p=none")]
    if wish == "none" and "rua" not in policy.tags:
        text = f"{at} says p=none and asks for no reports"
        return [Reason("dmarc", text, "add rua=mailto:… to see who mails in your name", amiss=False)]
    return []
