"""Writes docs/schema/event.schema.json and feed.schema.json from the models that read a shop's JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from pydantic.json_schema import models_json_schema

from daemon.shops.push import EVENT
from daemon.shops.wire import CartPage, OrderPage, ProductPage

FOLDER = Path(__file__).parents[1] / "docs" / "schema"
DRAFT = "https://json-schema.org/draft/2020-12/schema"
PAGES = {"carts": CartPage, "orders": OrderPage, "products": ProductPage}


def event_schema() -> dict[str, Any]:
    """Of the body of an event."""
    schema = EVENT.json_schema(ref_template="#/$defs/{model}")
    return {"$schema": DRAFT, "title": "An event that a shop posts to /hooks/shop/NAME", **_tidy(schema)}


def feed_schema() -> dict[str, Any]:
    """Of a feed's answers; each kind of page is a definition of its own."""
    models = [(page, "validation") for page in PAGES.values()]
    _, schema = models_json_schema(models, ref_template="#/$defs/{model}")  # type: ignore[arg-type]
    pages = [{"$ref": f"#/$defs/{page.__name__}"} for page in PAGES.values()]
    return {"$schema": DRAFT, "title": "A page of a shop's feed", "anyOf": pages, **_tidy(schema)}


def _tidy(value: Any) -> Any:
    """Without the titles that only repeat the names, and without what is only ours."""
    if isinstance(value, dict):
        kept = {name: _tidy(item) for name, item in value.items() if name != "discriminator"}
        if isinstance(kept.get("title"), str):
            kept.pop("title")
        return kept
    return [_tidy(item) for item in value] if isinstance(value, list) else value


def pages() -> dict[Path, str]:
    """What each file should say."""
    schemas = {"event.schema.json": event_schema(), "feed.schema.json": feed_schema()}
    return {FOLDER / name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in schemas.items()}


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
