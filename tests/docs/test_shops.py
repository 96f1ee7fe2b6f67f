"""What the pages about shops show is what the code reads, and the schemas beside them are fresh."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from daemon.shops.feed import FeedConfig
from daemon.shops.push import KINDS, PushConfig, parse
from daemon.shops.wire import CartPage, OrderPage, ProductPage

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def blocks(page: str) -> list[dict]:
    text = (DOCS / "shops" / page).read_text()
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]


def docs_wire():
    spec = importlib.util.spec_from_file_location("docs_wire", ROOT / "tools" / "docs_wire.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("shown", blocks("push.md"), ids=lambda shown: shown["type"])
def test_shown_events_are_read(shown):
    event = parse(json.dumps(shown).encode())
    assert event.at.microsecond
    assert (event.cart or event.order or event.customer).ref


def test_shown_pages_are_read():
    models = {"carts": CartPage, "orders": OrderPage, "products": ProductPage}
    shown = blocks("feed.md")
    assert [next(iter(page)) for page in shown] == list(models)
    for page in shown:
        noun = next(iter(page))
        assert getattr(models[noun].model_validate(page), noun)


def test_every_event_is_explained():
    text = (DOCS / "shops" / "push.md").read_text()
    assert set(re.findall(r"^\| `(\w+\.\w+)` \|", text, re.MULTILINE)) == set(KINDS)


@pytest.mark.parametrize(("page", "config"), [("push.md", PushConfig), ("feed.md", FeedConfig)])
def test_every_word_of_the_connection_is_explained(page, config):
    text = (DOCS / "shops" / page).read_text().split("## Set up")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == set(config.model_fields)


def test_schemas_are_fresh():
    for path, text in docs_wire().pages().items():
        assert path.read_text() == text, f"{path.name} is stale: run tools/docs_wire.py"


def test_schemas_name_every_event_and_every_page():
    event = json.loads((DOCS / "schema" / "event.schema.json").read_text())
    kinds = {kind for one in event["$defs"].values() for kind in one["properties"].get("type", {}).get("enum", [])}
    kinds |= {
        one["properties"]["type"]["const"]
        for one in event["$defs"].values()
        if "const" in one["properties"].get("type", {})
    }
    assert kinds == set(KINDS)
    feed = json.loads((DOCS / "schema" / "feed.schema.json").read_text())
    assert {"CartPage", "OrderPage", "ProductPage"} <= set(feed["$defs"])
