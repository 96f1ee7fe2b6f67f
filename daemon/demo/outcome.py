"""What came of a story: the same for the same seed, and checked against what the mailbox holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from daemon.demo.play import POLL_EVERY, Stage
from daemon.demo.rulebook import NAME
from daemon.demo.town import MINUTE, Life

TAKEN = ("accepted", "delivered", "bounced", "complained")
"""States of messages that were taken."""
GOT = ("mailed", "texted", "pushed", "noticed")


async def outcome(stage: Stage, seconds: float) -> dict[str, Any]:
    """`recoveries` and `shoppers` tell the story; `findings` are sentences about what should not be, best empty."""
    report = (await stage.daemon.tell("report", "--each"))[NAME]
    books = await stage.daemon.tell("books", "--all")
    sizes = (await stage.daemon.tell("audience", "list"))[NAME]
    told = story(stage, report["each"])
    findings = [
        *(f"the books: {one['kind']}: {one['noun']} {one['id']}" for one in books["violations"]),
        *_sums(stage, books["sums"]),
        *_members(stage, sizes),
        *_promises(stage, told["recoveries"]),
    ]
    return {**told, **_counts(stage, told["recoveries"], sizes), "findings": findings, "seconds": round(seconds, 1)}


def story(stage: Stage, each: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All that must be the same for the same seed; times are minutes since the beginning."""
    plot = stage.plot
    return {
        "seed": plot.seed,
        "hours": plot.hours,
        "recoveries": [dict(one) for one in each],
        "shoppers": [
            {
                "shopper": life.who.number,
                "cart": life.cart.ref if life.cart else None,
                "mails": life.steps,
                "texts": life.texts,
                "pushes": life.pushes,
                "deeds": [list(deed) for deed in life.deeds],
            }
            for life in stage.town.lives.values()
        ],
    }


def _counts(
    stage: Stage, recoveries: Sequence[Mapping[str, Any]], sizes: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    ended = Counter(one["end_reason"] or "still open" for one in recoveries)
    hits: Counter[str] = Counter()
    for one in recoveries:
        for step in one["steps"]:
            for kind, classes in step["hits"].items():
                for word, number in classes.items():
                    hits[f"{kind} {word}"] += number
    return {
        "counts": {
            "left": stage.town.tally["left"],
            "recoveries": len(recoveries),
            "held_out": sum(one["held_out"] for one in recoveries),
            "mails": len(stage.mailbox.letters),
            "texts": len(stage.receivers.twilio.texts),
            "pushes": len(stage.receivers.pushes.taken),
            "notices": stage.town.tally["noticed"],
            "ads_wanted": max((one["wanted"] for one in sizes), default=0),
            "ads_uploaded": max((one["actual"] for one in sizes), default=0),
            "won_back": stage.town.prompted,
            "unsubscribed": stage.town.tally["unsubscribed"],
            "stopped": stage.town.tally["said stop"],
        },
        "ends": dict(sorted(ended.items())),
        "hits": dict(sorted(hits.items())),
    }


def _sums(stage: Stage, sums: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What tillbell says was taken beside what mailbox, Twilio and the push service took."""
    receivers = stage.receivers
    took = {
        "email": len(stage.mailbox.letters),
        "sms": len(receivers.twilio.texts),
        "webpush": len(receivers.pushes.taken),
    }
    for channel, number in took.items():
        taken = sum(row["messages"] for row in sums if row["state"] in TAKEN and row["channel"] == channel)
        if taken != number:
            yield f"tillbell counts {taken} as taken by {channel}, and {number} were"
    for (message_id, _), copies in stage.mailbox.duplicates.items():
        yield f"the mail {message_id} came {copies} times"
    if stage.daemon.problems:
        yield f"the log has {stage.daemon.problems} errors: {stage.daemon.log}"


def _members(stage: Stage, sizes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What tillbell says is in the ad audiences beside what the platforms hold."""
    meta, google = stage.receivers.meta, stage.receivers.google
    if small := meta.small_uploads + google.small_uploads:
        yield f"{small} uploads of fewer than a hundred people"
    yield from (f"an ad platform complained: {complaint}" for complaint in meta.complaints + google.complaints)
    held: Mapping[str, Mapping[str, set[Any]]] = {
        "meta-abandoners": meta.audiences,
        "google-abandoners": google.audiences,
    }
    for one in sizes:
        there = sum(len(people) for people in held[one["audience"]].values())
        if one["actual"] != there:
            yield f"{one['audience']} should hold {one['actual']} people, and holds {there}"


def _promises(stage: Stage, recoveries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What no customer may see, as customers would see it."""
    held_out = {one["cart"] for one in recoveries if one["held_out"]}
    for life in stage.town.lives.values():
        who, got = f"shopper {life.who.number}", any(word in GOT for _, word in life.deeds)
        if got and life.cart is not None and life.cart.ref in held_out:
            yield f"{who} is held out and got a message"
        if life.steps and life.who.relation == "stranger":
            yield f"{who} never agreed to mails and got one"
        if (life.texts and "sms_mkt" not in life.who.takes) or (life.pushes and "push_mkt" not in life.who.takes):
            yield f"{who} never agreed to texts or pushes and got one"
        if len(set(life.steps)) != len(life.steps) or life.texts > 1:
            yield f"{who} got a step twice"
        for word in ("bought", "unsubscribed", "emptied", "said stop"):
            if _got_after(life, word):
                yield f"{who} got a message after they {word}"
        yield from (f"{who} got a text at {at:%H:%M} where they live" for at in _texted_at(stage, life) if _silent(at))


def _texted_at(stage: Stage, life: Life) -> Iterator[datetime]:
    zone = ZoneInfo(life.who.zone)
    return ((stage.town.start + n * MINUTE).astimezone(zone) for n, word in life.deeds if word == "texted")


def _silent(at: datetime) -> bool:
    """The strictest of all profiles: 9 to 20 o'clock, on Sundays from 12."""
    return not (12 if at.weekday() == 6 else 9) <= at.hour < 20


def _got_after(life: Life, word: str) -> bool:
    """Whether a message came later than that, and it was not taken back."""
    words = [deed for _, deed in life.deeds]
    times = [minute for minute, deed in life.deeds if deed == word]
    if not times or (word == "unsubscribed" and "took back" in words):
        return False
    grace = POLL_EVERY / MINUTE if word == "emptied" else 0  # an emptied cart is seen at the next look at the shop
    return any(deed in GOT and minute > times[0] + grace for minute, deed in life.deeds)
