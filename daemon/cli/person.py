"""`tillbell person`: what is held about somebody, told, handed out, taken away (GDPR Art. 15, 17, 20); who is one."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter
from rich.table import Table

from daemon.cli.desk import AsJson, Desk, ShopName, console, desk, print_json
from daemon.cli.exits import FINDINGS, FINE
from daemon.errors import ConfigurationError
from daemon.flow import dossier, merging
from daemon.flow.dossier import WHY
from daemon.house import data_dir, pepper_of
from daemon.journal import forget_refused
from daemon.store import suppressions
from daemon.store.dossier import TOMBSTONE, Found

app = App(
    name="person", help="What is held about somebody: show it, hand it out, erase it; make two one, or part them."
)
KNOWN_AS = {"customer": "customer", "email": "e-mail", "push": "a browser that takes pushes", "onsite": "a visitor"}
By = Annotated[
    Literal["email", "customer", "phone", "id"] | None,
    Parameter(help="What WORD is, where it could mean several people."),
]
Yes = Annotated[bool, Parameter(negative="", help="Do not ask.")]


@app.command
async def show(word: str, /, *, shop: ShopName = None, by: By = None, as_json: AsJson = False) -> int:
    """How much is held about somebody, and why.

    Parameters
    ----------
    word
        Their e-mail address, customer reference, phone number or number here.
    """
    async with desk() as at:
        found = await _find(at, shop, by, word)
        told = [(one, await dossier.held(at.pool, one.shop_id, one.id)) for one in found]
        names = {number: name for name, number in at.ids.items()}
        barred = [] if found else await _barred(at, shop, word)
    if as_json:
        print_json([_counted(one, names[one.shop_id], rows) for one, rows in told])
    for one, rows in [] if as_json else told:
        _show(names[one.shop_id], one.id, rows)
    return _found(found, word, barred)


@app.command
async def export(word: str, /, *, shop: ShopName = None, by: By = None) -> int:
    """Everything that is held about somebody, as one JSON document for them (Art. 15 and 20 GDPR).

    Parameters
    ----------
    word
        Their e-mail address, customer reference, phone number or number here.
    """
    async with desk() as at:
        found = await _find(at, shop, by, word)
        names = {number: name for name, number in at.ids.items()}
        told = [
            {"shop": names[one.shop_id], "person": one.id, "held": await dossier.held(at.pool, one.shop_id, one.id)}
            for one in found
        ]
        barred = [] if found else await _barred(at, shop, word)
    print_json({"exported_at": at.now, "why": WHY, "people": told} | ({"not_written_to": barred} if barred else {}))
    return _found(found, word, barred)


@app.command
async def erase(word: str, /, *, shop: ShopName = None, by: By = None, yes: Yes = False) -> int:
    """Take away what says who somebody was (Art. 17 GDPR). It cannot be undone; proofs of consent go, too.

    Their recoveries end and nothing more is sent. Counts and sums stay, and so do opt-outs, as keyed hashes. Another
    hash keeps the shop's next answer from bringing them back: until they give a consent that is younger.

    Parameters
    ----------
    word
        Their e-mail address, customer reference, phone number or number here.
    """
    async with desk(acts=True) as at:
        found = await _find(at, shop, by, word)
        names = {number: name for name, number in at.ids.items()}
        if found and not yes and not _asked(", ".join(f"{one.id} of {names[one.shop_id]}" for one in found)):
            console().print("nothing was erased")
            return FINDINGS
        pepper = await pepper_of(at.settings, at.pool)
        for one in found:
            done = await dossier.erase(at.pool, pepper, one.shop_id, one.id, at.now)
            forget_refused(data_dir(at.settings) / "journal", done.messages)
            console().print(
                f"person {one.id} of {names[one.shop_id]} is erased"
                + (f"; {done.recoveries} recovery ended" if done.recoveries else "")
                + ("; they were already" if done.already else "")
            )
    return _found(found, word)


@app.command
async def merge(one: str, other: str, /, *, shop: ShopName = None) -> int:
    """Make two people one, where you know that they are: carts, orders, consents and caps of both count together.

    Who came first stays; a recovery of the other ends. Whatever forbids a message to either forbids it to both.

    Parameters
    ----------
    one
        An e-mail address, customer reference, phone number or number here.
    other
        The same of the other.
    """
    async with desk(acts=True) as at:
        first, second = [await _only(at, shop, word) for word in (one, other)]
        if first.shop_id != second.shop_id:
            raise ConfigurationError("they are in different shops, where nobody is one; hint: --shop names the shop")
        name = next(name for name, number in at.ids.items() if number == first.shop_id)
        share = _holdout(at, name)
        try:
            number = await merging.by_hand(at.pool, first.shop_id, first.id, second.id, share, at.now)
        except merging.Refused as error:
            raise ConfigurationError(str(error)) from error
        kept, gone = sorted((first.id, second.id))
        console().print(
            f"person {gone} of {name} is person {kept} now; `tillbell person unmerge {number}` takes it back"
        )
    return FINE


@app.command
async def unmerge(number: int, /, *, shop: ShopName = None) -> int:
    """Part two who were taken for one: what moved goes back, and the same evidence does not make them one again.

    What was sent to either counts for the caps of both, as it may have been read by either. A recovery that ended with
    the merge goes on with its next step; where it cannot, it is said why.

    Parameters
    ----------
    number
        Of the merge, as `person show` tells it.
    """
    async with desk(acts=True) as at:
        shops = at.only(shop)
        if len(shops) != 1:
            raise ConfigurationError(f"which shop? hint: --shop with one of {', '.join(sorted(shops))}")
        [(name, shop_id)] = shops.items()
        try:
            done, left = await merging.undo(at.pool, shop_id, number, at.now)
        except merging.Refused as error:
            raise ConfigurationError(str(error)) from error
        console().print(f"person {done.older} and person {done.younger} of {name} are two again")
        for one in left:
            fate = f"stays ended: {one.because}" if one.because else "goes on"
            console().print(f"recovery {one.recovery} of person {done.younger} {fate}")
    return FINE


def _holdout(at: Desk, shop: str) -> float:
    from daemon.book import load  # noqa: PLC0415  # slow to import, and only this command needs it

    words = load(at.settings.rules_dir, None, None).shops.get(shop)
    if words is None:
        raise ConfigurationError(f'shops.yaml has no shop "{shop}" any more')
    return words.holdout


async def _only(at: Desk, shop: str | None, word: str) -> Found:
    found = await _find(at, shop, None, word)
    if len(found) != 1:
        why = f'nothing is held about "{word}"' if not found else f'"{word}" is known in several shops; hint: --shop'
        raise ConfigurationError(why)
    return found[0]


async def _find(at: Desk, shop: str | None, by: str | None, word: str) -> list[Found]:
    """One in each shop at most. Raises ConfigurationError where it could be several."""
    pepper = await pepper_of(at.settings, at.pool, looks=True)
    found = await dossier.find(at.pool, pepper, list(at.only(shop).values()), word, by)
    if len({one.shop_id for one in found}) < len(found):
        several = ", ".join(f"{one.id} by {one.kind}" for one in found)
        raise ConfigurationError(f'"{word}" could be several people: {several}; hint: say --by id and the number')
    return found


async def _barred(at: Desk, shop: str | None, word: str) -> list[dict[str, Any]]:
    """What is kept of an address that is nobody's here: a hash, so that it is not written to."""
    said = dossier.word_of(await pepper_of(at.settings, at.pool, looks=True), word)
    return await suppressions.of_addresses(at.pool, list(at.only(shop).values()), [said.email_hmac])


def _found(found: list[Found], word: str, barred: Sequence[Mapping[str, Any]] = ()) -> int:
    for row in barred:
        where = f"by {row['channel']}" if row["channel"] != "any" else "on any channel"
        print(
            f'nobody is known as "{word}"; a keyed hash of it keeps {row["shop"]} from writing to it {where}: '
            f"{row['reason']} ({row['source']}, {row['since']:%Y-%m-%d})",
            file=sys.stderr,
        )
    if not found and not barred:
        print(f'nothing is held about "{word}"', file=sys.stderr)
    return FINE if found else FINDINGS


def _asked(who: str) -> bool:
    if not sys.stdin.isatty():
        raise ConfigurationError("nobody can be asked here; hint: --yes erases without asking")
    return console().input(f"Erase person {who}? It cannot be undone. Type yes: ").strip().casefold() == "yes"


def _counted(one: Found, shop: str, rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    return {
        "shop": shop,
        "person": one.id,
        "erased_at": rows["person"][0]["erased_at"],
        "held": [{"what": noun, "rows": len(rows[noun]), "why": why} for noun, why in WHY.items() if rows[noun]],
    }


def _names(person: int, rows: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """By what they are known, and whom else they were taken for."""
    for row in rows["identity"]:
        if row["kind"] in ("customer", "email") and not row["value"].startswith(TOMBSTONE):
            yield f"known as {KNOWN_AS[row['kind']]} {row['value']} since {row['since'][:10]}"
        elif row["kind"] in KNOWN_AS:
            yield f"known as {KNOWN_AS[row['kind']]} since {row['since'][:10]}"
    for row in rows["merge"]:
        other = row["younger"] if row["older"] == person else row["older"]
        why = "by hand" if row["kind"] == "hand" else f"by {KNOWN_AS[row['kind']]} {row['value']}"
        undone = f", parted {row['undone_at'][:10]}" if row["undone_at"] else ""
        yield f"merge {row['id']} of {row['at'][:10]}: one with person {other} {why}{undone}"


def _show(shop: str, person: int, rows: dict[str, list[dict[str, Any]]]) -> None:
    out = console()
    out.print(f"person {person} of {shop}")
    if erased_at := rows["person"][0]["erased_at"]:
        out.print(f"erased {erased_at[:10]}; a keyed hash keeps them away, and these rows without a name are left:")
    for name in ("customer_ref", "email", "phone", "first_name", "last_name", "locale", "country"):
        if value := rows["person"][0][name]:
            out.print(f"  {name.replace('_', ' ')}: {value}")
    for line in _names(person, rows):
        out.print(f"  {line}")
    table = Table("rows", "of", "why", box=None)
    for noun, why in WHY.items():
        if rows[noun]:
            table.add_row(str(len(rows[noun])), noun, why)
    out.print(table)
