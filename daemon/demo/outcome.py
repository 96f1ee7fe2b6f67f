"""What came of a story: the same for the same seed, and checked against what the mailbox holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from daemon.demo.play import POLL_EVERY, Stage
from daemon.demo.rulebook import NAME
from daemon.demo.town import MINUTE, Life

TAKEN = ("accepted", "delivered", "bounced", "complained")
"""States of messages that the mailbox has taken."""


async def outcome(stage: Stage, seconds: float) -> dict[str, Any]:
    """`recoveries` and `shoppers` tell the story; `findings` are sentences about what should not be, best empty."""
    report = (await stage.daemon.tell("report", "--each"))[NAME]
    books = await stage.daemon.tell("books", "--all")
    told = story(stage, report["each"])
    findings = [
        *(f"the books: {one['kind']}: {one['noun']} {one['id']}" for one in books["violations"]),
        *_sums(stage, books["sums"]),
        *_promises(stage, told["recoveries"]),
    ]
    return {**told, **_counts(stage, told["recoveries"]), "findings": findings, "seconds": round(seconds, 1)}


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
                "deeds": [list(deed) for deed in life.deeds],
            }
            for life in stage.town.lives.values()
        ],
    }


def _counts(stage: Stage, recoveries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
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
            "won_back": stage.town.prompted,
            "unsubscribed": stage.town.tally["unsubscribed"],
        },
        "ends": dict(sorted(ended.items())),
        "hits": dict(sorted(hits.items())),
    }


def _sums(stage: Stage, sums: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What tillbell says was taken beside what the mailbox took."""
    taken = sum(row["messages"] for row in sums if row["state"] in TAKEN)
    if taken != len(stage.mailbox.letters):
        yield f"tillbell counts {taken} mails as taken, the mailbox {len(stage.mailbox.letters)}"
    for (message_id, _), copies in stage.mailbox.duplicates.items():
        yield f"the mail {message_id} came {copies} times"
    if stage.daemon.problems:
        yield f"the log has {stage.daemon.problems} errors: {stage.daemon.log}"


def _promises(stage: Stage, recoveries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What no customer may see, as customers would see it."""
    held_out = {one["cart"] for one in recoveries if one["held_out"]}
    for life in stage.town.lives.values():
        who = f"shopper {life.who.number}"
        if life.steps and life.cart is not None and life.cart.ref in held_out:
            yield f"{who} is held out and got a mail"
        if life.steps and life.who.relation == "stranger":
            yield f"{who} never agreed to mails and got one"
        if len(set(life.steps)) != len(life.steps):
            yield f"{who} got a step twice"
        for word in ("bought", "unsubscribed", "emptied"):
            if _mailed_after(life, word):
                yield f"{who} got a mail after they {word}"


def _mailed_after(life: Life, word: str) -> bool:
    """Whether a mail came later than that, and it was not taken back."""
    words = [deed for _, deed in life.deeds]
    times = [minute for minute, deed in life.deeds if deed == word]
    if not times or (word == "unsubscribed" and "took back" in words):
        return False
    grace = POLL_EVERY / MINUTE if word == "emptied" else 0  # an emptied cart is seen at the next look at the shop
    return any(deed == "mailed" and minute > times[0] + grace for minute, deed in life.deeds)
