"""What an osCommerce-family shop says of its languages and products."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.shops.oscommerce_db import Database
from daemon.shops.oscommerce_read import Key, Row, text


@dataclass(frozen=True, slots=True)
class Languages:
    codes: Mapping[int, str]
    by_word: Mapping[str, str]
    """Codes by code and by folder, whichever of the two the shop's orders keep."""
    default: int

    def code(self, word: str = "") -> str:
        return self.by_word.get(word.casefold()) or self.codes.get(self.default, "")

    def id(self, locale: str) -> int:
        wanted = locale.partition("-")[0].casefold()
        return next((number for number, code in self.codes.items() if code.partition("-")[0] == wanted), self.default)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What the shop knows of a few products."""

    products: Mapping[int, Row]
    attributes: Mapping[int, Sequence[Row]]
    combis: Mapping[int, Row]

    def options(self, product: int, chosen: Iterable[tuple[int, int]]) -> list[Row]:
        wanted = set(chosen)
        return [row for row in self.attributes.get(product, ()) if (row["option_id"], row["value_id"]) in wanted]


async def languages(db: Database, default: int) -> Languages:
    rows = await db.all("languages")
    codes = {int(row["languages_id"]): text(row["code"], 5).casefold() for row in rows}
    words = {text(row["directory"], 32).casefold(): codes[int(row["languages_id"])] for row in rows}
    return Languages(codes, {**words, **{code: code for code in codes.values()}}, default)


async def catalogue(db: Database, keys: Iterable[Key], language: int, fallback: int, wall: datetime) -> Catalogue:
    """All that is needed to price these; `wall` is what the shop's clock shows, for the specials that run now."""
    wanted = list(keys)
    products = sorted({found.product for found in wanted})
    combis = sorted({found.combi for found in wanted if found.combi})
    if not products:
        return Catalogue({}, {}, {})
    rows = await db.all("products", products=products, language=language, fallback=fallback, wall=wall)
    attributes = defaultdict(list)
    for row in await db.all("attributes", products=products):
        attributes[int(row["products_id"])].append(row)
    kept = await db.all("combis", combis=combis, language=language) if combis and "combis" in db.sql else []
    by_combi = {int(row["combi_id"]): row for row in kept}
    return Catalogue({int(row["products_id"]): row for row in rows}, attributes, by_combi)
