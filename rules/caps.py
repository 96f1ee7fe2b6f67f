"""How much a person gets at most: caps over sliding spans, and the least gap on one channel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from rules import law
from rules.facts import Counted
from rules.policy import CapWords, Policy
from rules.values import Cap, spoken

FEWER = Cap(1, timedelta(days=7))
"""What is left for a person who asked for fewer messages, over all channels."""


def frees_at(
    caps: CapWords,
    channel: str,
    counted: Sequence[Counted],
    now: datetime,
    profile: str = "de",
    *,
    fewer: bool = False,
) -> tuple[datetime, str] | None:
    """None: the caps let a message out now. Else the instant at which they all do again, and the cap that is met.

    The caps of the country profile count beside those of the policy, and FEWER beside both for whom asked for it.
    """
    limits = [*_each(caps, channel, counted, profile), *(_fewer(counted) if fewer else ())]
    met = [(free, why) for free, why in limits if free > now]
    return max(met) if met else None


def _fewer(counted: Sequence[Counted]) -> Iterator[tuple[datetime, str]]:
    newest_first = sorted((one.at for one in counted), reverse=True)
    why = f"the person asked for fewer messages, so at most {FEWER.count} in {spoken(FEWER.per)}"
    yield from _cap(FEWER, newest_first, why)


def _each(caps: CapWords, channel: str, counted: Sequence[Counted], profile: str) -> Iterator[tuple[datetime, str]]:
    every = sorted((one.at for one in counted), reverse=True)
    same = sorted((one.at for one in counted if one.channel == channel), reverse=True)
    for cap in caps.any:
        yield from _cap(cap, every, f"the cap of {cap.count} in {spoken(cap.per)} is reached")
    for cap in caps.of(channel):
        yield from _cap(cap, same, f"the cap of {cap.count} on {channel} in {spoken(cap.per)} is reached")
    for cap in law.caps(profile, channel):
        why = f'the cap of {cap.count} on {channel} in {spoken(cap.per)} is reached, which profile "{profile}" sets'
        yield from _cap(cap, same, f"{why}: {law.PROFILES[profile].cap_rule}")
    if caps.same_channel_gap is not None and same:
        yield same[0] + caps.same_channel_gap, f"the last {channel} was less than {spoken(caps.same_channel_gap)} ago"


def _cap(cap: Cap, newest_first: Sequence[datetime], why: str) -> Iterator[tuple[datetime, str]]:
    """Free again when the one that fills the cap is as old as the span."""
    if len(newest_first) >= cap.count:
        yield newest_first[cap.count - 1] + cap.per, why


def reach(policy: Policy) -> timedelta:
    """How far back messages must be known for the caps of this policy."""
    return max([*(cap.per for cap in _all(policy)), policy.caps.same_channel_gap or timedelta(0)])


def largest(policy: Policy) -> int:
    """How many messages the largest cap of this policy lets out: so many must be known."""
    return max(cap.count for cap in _all(policy))


def _all(policy: Policy) -> Iterator[Cap]:
    yield from policy.caps.every()
    for step in policy.steps:
        yield from law.caps(policy.profile, step.send)
    yield FEWER
