"""`tillbell consent`: what people allowed, with its proof; recorded and taken back by hand."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated

from cyclopts import App, Parameter
from rich.table import Table

from daemon.cli.desk import AsJson, Desk, ShopName, console, desk, print_json
from daemon.cli.exits import FINDINGS, FINE
from daemon.errors import ConfigurationError
from daemon.flow import consents, dossier, optin
from daemon.flow.consents import PURPOSES, Proof
from daemon.house import pepper_of
from daemon.store import consents as ledger
from daemon.store.dossier import Found

ANSWERS: Mapping[optin.Answer, str] = {
    "asked": "is asked to confirm it",
    "confirmed": "has confirmed it already",
    "too soon": "was asked less than ten minutes ago",
    "enough today": "was asked three times within a day",
    "too many": "is not asked: too much at once",
    "nobody": "has no address for it",
}

app = App(name="consent", help="What people allowed: show it with its proof, ask for it, record it, take it back.")


def _is_purpose(_: object, written: str) -> None:
    if written not in PURPOSES:
        raise ValueError(f'"{written}" is no purpose; there are {", ".join(PURPOSES)}')


Purpose = Annotated[str, Parameter(validator=_is_purpose)]


@app.command
async def show(word: str, /, *, shop: ShopName = None, as_json: AsJson = False) -> int:
    """Every word of somebody on every purpose, the oldest first, with its proof. The newest of a purpose counts.

    Parameters
    ----------
    word
        Their e-mail address, customer reference, phone number or number here.
    """
    async with desk() as at:
        found = await _find(at, shop, word)
        told = [(one, await ledger.ledger(at.pool, one.shop_id, one.id)) for one in found]
    if as_json:
        print_json([{"person": one.id, "consents": [dict(row) for row in rows]} for one, rows in told])
        return FINE if found else FINDINGS
    for one, rows in told:
        console().print(f"person {one.id}")
        table = Table("purpose", "state", "when", "source", "evidence", "wording", box=None)
        for row in rows:
            when = f"{row['at']:%Y-%m-%d %H:%M}"
            table.add_row(row["purpose"], row["state"], when, row["source"], row["evidence"], row["wording"])
        console().print(table)
    return FINE if found else FINDINGS


@app.command
async def record(
    word: str,
    purpose: Purpose,
    /,
    *more: Purpose,
    evidence: Annotated[str, Parameter(help="What proves it: a form, a record, a date.")],
    wording: Annotated[str, Parameter(help="The sentence that they agreed to.")],
    source: Annotated[str, Parameter(help="Where they did.")] = "by hand",
    shop: ShopName = None,
) -> int:
    """Record that somebody agreed, with its proof. In effect for the next claim.

    Parameters
    ----------
    word
        Their e-mail address, customer reference, phone number or number here.
    purpose
        email_mkt, sms_mkt, push_mkt, track_open, track_click or ads_audience.
    """
    return await _write(word, [purpose, *more], "confirmed", Proof(source, evidence, wording), shop)


@app.command
async def withdraw(word: str, purpose: Purpose, /, *more: Purpose, shop: ShopName = None) -> int:
    """Record that somebody took it back. In effect for the next claim.

    Parameters
    ----------
    word
        Their e-mail address, customer reference, phone number or number here.
    purpose
        email_mkt, sms_mkt, push_mkt, track_open, track_click or ads_audience.
    """
    return await _write(word, [purpose, *more], "withdrawn", Proof("by hand"), shop)


@app.command
async def request(
    word: str,
    purpose: Purpose,
    /,
    *more: Purpose,
    wording: Annotated[str, Parameter(help="The sentence that they are to confirm.")],
    source: Annotated[str, Parameter(help="Where they asked for it.")] = "by hand",
    shop: ShopName = None,
) -> int:
    """Ask somebody to confirm (double opt-in): a mail with a link, or for sms_mkt a text with a code. The daemon sends
    it; nothing counts before they have confirmed.

    Parameters
    ----------
    word
        Their e-mail address, customer reference, phone number or number here.
    purpose
        email_mkt with track_open, track_click or ads_audience, or sms_mkt.
    """
    purposes, proof = [purpose, *more], Proof(source, wording=wording)
    try:
        optin.channel_of(purposes)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    if not wording.strip():
        raise ConfigurationError("say with --wording what they are to confirm")
    async with desk(acts=True) as at:
        pepper = await pepper_of(at.settings, at.pool, looks=True)
        found = await _find(at, shop, word)
        answers = [
            await optin.request_of(at.pool, pepper, one.shop_id, one.id, purposes, proof, at.now) for one in found
        ]
    for one, answer in zip(found, answers, strict=True):
        console().print(f"person {one.id}: {ANSWERS[answer]}")
    return FINE if "asked" in answers or "confirmed" in answers else FINDINGS


async def _write(word: str, purposes: list[str], state: str, proof: Proof, shop: str | None) -> int:
    async with desk(acts=True) as at:
        found = await _find(at, shop, word)
        for one in found:
            await consents.record(at.pool, one.shop_id, one.id, purposes, state, proof, at.now)
            console().print(f"person {one.id}: {', '.join(purposes)} {state}")
    return FINE if found else FINDINGS


async def _find(at: Desk, shop: str | None, word: str) -> list[Found]:
    """One in each shop at most. Raises ConfigurationError where it could be several."""
    pepper = await pepper_of(at.settings, at.pool, looks=True)
    found = await dossier.find(at.pool, pepper, list(at.only(shop).values()), word)
    if len({one.shop_id for one in found}) < len(found):
        raise ConfigurationError(f'"{word}" could be several people; hint: say their number here')
    if not found:
        print(f'nothing is held about "{word}"', file=sys.stderr)
    return found
