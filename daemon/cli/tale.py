"""A story as people read it: in the order of what happened, each instant once, long lines folded under their text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from daemon.cli.desk import width
from daemon.store.story import Row, Story

CHANNELS = {
    "email": "e-mail",
    "audience": "ad audience",
    "sms": "text message",
    "webpush": "web push",
    "any": "any channel",
}
PURPOSES = {
    "email_mkt": "e-mails to win back",
    "sms_mkt": "text messages to win back",
    "push_mkt": "web push to win back",
    "track_open": "noticing that a mail is opened",
    "track_click": "noticing that a link is followed",
    "ads_audience": "ad audiences",
}
STANDINGS = {
    "purchase": "bought", "pending": "not paid yet", "on_hold": "on hold", "failed": "payment failed",
    "cancelled": "cancelled",
}  # fmt: skip
OUTCOMES = {
    None: "handed to the provider, no answer yet",
    "accepted": "accepted by the provider",
    "retry_wait": "not taken, to be tried again",
    "failed": "refused by the provider",
    "unknown": "handed to the provider, and no answer came: it may have arrived, so it is never sent again by itself",
}
WHO = {"human": "a human", "machine": "a machine", "unknown": "somebody, human or machine"}
ENDS = {
    "purchase": "bought",
    "rule_removed": "its rule was removed",
    "rehearsal_over": "the rehearsal is over",
    "shop_closed": "its shop was closed",
    "not_live": "the shop went back to rehearsal",
    "not_allowed": "not to be written to",
}
BOUNCES = {
    "hard": "because the address does not work",
    "soft": "this time: the mailbox is full or out of reach",
    "sender": "because the sender or the mail was refused",
}
ACTUALS = {"out": "its platform was not told yet", "unsure": "its platform is being told", "in": ""}
LEFT = {
    "over": "their time in it is over",
    "purchase": "bought",
    "no_consent": "no consent to ad audiences any more",
    "suppressed": "not to be written to",
    "not_allowed": "not to be written to",
    "no_address": "no address is known any more",
    "held_out": "held out",
    "not_live": "the shop is not live",
    "removed": "shops.yaml no longer has it",
    "dropped": "it was emptied by hand",
}
REASONS = {"holdout": "held out"}
LAST = 1_000_000


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """`rank` is the place among what happened at the same instant."""

    at: datetime
    rank: int
    text: str


def tell(out: Console, told: Story, shop: str, *, full: bool) -> None:
    """Print it. `full`: every question with its answer, and seconds."""
    writer = _Writer(out, full)
    if told.person is not None:
        _person(writer, told.person, shop)
    for cart in told.carts:
        estimate = " (an estimate)" if cart["total_is_estimate"] else ""
        lines = "1 line" if cart["lines"] == 1 else f"{cart['lines']} lines"
        if told.person is not None or cart is not told.carts[0]:
            out.print()
        writer.head(f"cart {cart['ref']}", f" of {shop}: {lines}, {cart['total']} {cart['currency']}{estimate}")
        writer.lines(_cart(cart))
        for recovery in (row for row in told.recoveries if row["cart_id"] == cart["id"]):
            _recovery(writer, told, recovery)


class _Writer:
    """Times in a column of their own; a time that stands above already is left out."""

    def __init__(self, out: Console, full: bool) -> None:
        self.out, self.full = out, full
        self.form = "%Y-%m-%d %H:%M:%S" if full else "%Y-%m-%d %H:%M"
        self.column = len("2026-03-01 12:00:00" if full else "2026-03-01 12:00")

    def head(self, bold: str, plain: str) -> None:
        self.out.print(Text.assemble((bold, "bold"), plain), soft_wrap=True)

    def lines(self, lines: Sequence[Line], indent: int = 2) -> None:
        before = ""
        for line in sorted(lines, key=lambda one: (one.at, one.rank)):
            at = line.at.strftime(self.form)
            self._line("" if at == before else at, line.text, indent)
            before = at

    def _line(self, at: str, text: str, indent: int) -> None:
        begin = f"{'':{indent}}{at:{self.column}}  "
        for part in text.split("\n"):
            folded = textwrap.wrap(
                part,
                max(40, width(self.out)),
                initial_indent=begin,
                subsequent_indent=" " * (len(begin) + (len(part) - len(part.lstrip()))),
                break_long_words=False,
                break_on_hyphens=False,
            )
            self.out.print("\n".join(folded), soft_wrap=True)
            begin = " " * len(begin)


def _person(writer: _Writer, person: Row, shop: str) -> None:
    marks = [word for word, holds in (("a guest", person["is_guest"]), ("merged", person["merged_into"])) if holds]
    name = f" (customer {person['customer_ref']})" if person["customer_ref"] else ""
    writer.head(f"person {person['id']}{name}", f" of {shop}" + (f", {', '.join(marks)}" if marks else ""))
    lines = [
        Line(since, 2, f"not written to by {CHANNELS.get(channel, channel)} any more: {reason} ({source})")
        for channel, reason, source, since in person["suppressions"]
    ]
    lines += [
        Line(at, 1, f"{PURPOSES.get(purpose, purpose)}: {state}, {source}{': ' + evidence if evidence else ''}")
        for purpose, state, at, source, evidence in person["consents"]
    ]
    lines += [
        Line(placed_at, 3, f"order {ref}: {STANDINGS.get(standing, standing)}")
        for ref, placed_at, standing in person["orders"]
    ]
    lines += [line for row in person["audiences"] for line in _membership(*row)]
    writer.lines(lines)
    if person["merged_into"]:
        writer.out.print(f"  is person {person['merged_into']} now")
    if not person["has_email"]:
        writer.out.print("  has no e-mail address")


def _membership(
    audience: str,
    since: datetime,
    until: datetime,
    control: bool,
    ended_at: datetime | None,
    why: str | None,
    actual: str,
) -> Iterator[Line]:
    stays_out = "as one of its control group, so kept out of it" if control else ACTUALS[actual] * (ended_at is None)
    yield Line(
        since, 4, f"in ad audience {audience} until {until:%Y-%m-%d %H:%M}{f' ({stays_out})' if stays_out else ''}"
    )
    if ended_at is not None:
        pending = " (its platform is being told)" * (actual != "out")
        yield Line(ended_at, 5, f"out of ad audience {audience}: {LEFT.get(why or '', why)}{pending}")


def _cart(cart: Row) -> list[Line]:
    unchanged = cart["changed_at"] == cart["first_seen_at"]
    lines = [Line(cart["first_seen_at"], 0, "first seen" + (", not changed since" if unchanged else ""))]
    if not unchanged:
        lines.append(Line(cart["changed_at"], 1, "changed last"))
    if cart["answer"] and cart["answer"] != "enrolled":
        answer = f"not followed up: {cart['answer'].removeprefix('no: ')}"
        lines.append(Line(cart["answered_at"], 2, answer))
    if cart["look_at"] is not None:
        lines.append(Line(cart["look_at"], 3, "it is looked at whether it lies at rest"))
    if cart["closed_at"] is not None:
        lines.append(Line(cart["closed_at"], 4, cart["state"]))
    return lines


def _recovery(writer: _Writer, told: Story, recovery: Row) -> None:
    marks = {
        "held_out": "held out: nothing is sent, to compare with",
        "rehearsal": "a rehearsal",
        "crossed": "left out of the comparison: the person was treated and held out at once",
    }
    said = [text for word, text in marks.items() if recovery[word]]
    title = f" by policy {recovery['policy_name']}" + (f" ({'; '.join(said)})" if said else "")
    writer.head(f"  recovery {recovery['id']}", title)
    lines = [Line(recovery["started_at"], -2, "the cart is at rest: followed up from now on")]
    lines += _decided(told, recovery, writer.full)
    if recovery["ended_at"]:
        lines.append(Line(recovery["ended_at"], LAST + 1, f"ended: {_end(recovery)}"))
    if recovery["wake_at"]:
        lines.append(Line(recovery["wake_at"], LAST + 2, "the rules are asked again"))
    writer.lines(lines)


def _end(recovery: Row) -> str:
    why = ENDS.get(recovery["end_reason"], recovery["end_reason"].replace("_", " "))
    return f"{why}, order {recovery['order_ref']} (by {recovery['evidence']})" if recovery["order_ref"] else why


def _decided(told: Story, recovery: Row, full: bool) -> Iterator[Line]:
    """Each decision, right below it the message that it led to."""
    waiting = [row for row in told.messages if row["recovery_id"] == recovery["id"]]
    mine = [row for row in told.decisions if row["recovery_id"] == recovery["id"]]
    for no, row in enumerate(mine):
        yield Line(row["at"], 10 * no, _decision(row, full))
        led = [one for one in waiting if row["verdict"] == "send" and one["step"] == row["step"]]
        for message in led[:1]:
            waiting.remove(message)
            yield from _message(told, message, 10 * no + 1)
    for message in waiting:
        yield from _message(told, message, 10 * len(mine) + 1)


def _decision(row: Row, full: bool) -> str:
    verb = {"defer": "put off", "cancel": "called off", "skip": "leave out"}.get(row["verdict"], row["verdict"])
    text = f"{verb}{' ' + row['step'] if row['step'] else ''}: {row['because']}"
    asked = [f"\n  {_mark(question)} {question['asked']} {question['answer']}" for question in row["questions"] or ()]
    return text + "".join(asked) if full else text


def _mark(question: Mapping[str, Any]) -> str:
    return "✓" if question["passed"] else "✗"


def _message(told: Story, row: Row, rank: int) -> Iterator[Line]:
    name = f"message {row['id']} ({row['step']} by {CHANNELS.get(row['channel'], row['channel'])})"
    basis = "no basis is asked for" if row["basis"] == "none_required" else f"allowed by {row['basis_evidence']}"
    yield Line(row["planned_at"], rank, f"{name}: planned, {basis}")
    for _, started_at, outcome, code, error in row["attempts"]:
        said = error or code or ""
        yield Line(started_at, rank + 1, f"{name}: {OUTCOMES.get(outcome, outcome)}{f': {said}' if said else ''}")
    if row["accepted_at"] and (row["reason"] or "").startswith("proven"):
        yield Line(row["accepted_at"], rank + 2, f"{name}: {row['reason']}, so it had been taken")
    if row["ended_at"] and not (row["state"] == "failed" and row["attempts"]):
        because = f": {REASONS.get(row['reason'], row['reason'])}" if row["reason"] else ""
        yield Line(row["ended_at"], rank + 2, f"{name}: {row['state'].replace('_', ' ')}{because}")
    for hit in told.events:
        if hit["message_id"] == row["id"]:
            at_once = hit["at"] == row["accepted_at"]
            yield Line(hit["at"], rank + 3 if at_once else -1, f"message {row['id']} {_hit(hit)}")


def _hit(hit: Row) -> str:
    detail = hit["detail"] or {}
    said = ": ".join(str(detail[word]) for word in ("status", "said") if detail.get(word))
    told = {
        "delivered": "was delivered",
        "delayed": "is delayed",
        "bounced": f"came back, {BOUNCES.get(detail.get('severity', ''), 'undelivered')}",
        "complained": "was called spam by its reader",
        "replied": "was answered by its reader: see `tillbell replies`",
    }.get(hit["kind"])
    if told is not None:
        return f"{told} ({said})" if said else told
    by = WHO.get(hit["class"], "somebody not yet classed")
    return {
        "opened": f"was opened by {by}",
        "clicked": f"was followed to the shop by {by}",
        "unsubscribed": "was answered: unsubscribed",
        "resubscribed": "was answered: subscribed again",
    }.get(hit["kind"], f"{hit['kind']} by {by}")
