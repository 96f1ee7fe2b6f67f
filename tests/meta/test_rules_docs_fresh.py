"""docs/rules.md and the schemas for editors say what the models say."""

import importlib.util
import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from rules.merge import PRESETS, presets
from rules.policy import RuleFile
from rules.reader import read_policy
from rules.shops import ShopsFile, shops_from
from rules.situation import Situation, read_situation
from rules.source import read

HOUSE = Path(__file__).parents[2]


def generator():
    spec = importlib.util.spec_from_file_location("docs_rules", HOUSE / "tools" / "docs_rules.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DOCS = generator()


@pytest.mark.parametrize(("path", "text"), DOCS.pages().items(), ids=list(DOCS.pages()))
def test_what_is_generated_is_fresh(path, text):
    assert (HOUSE / path).read_text("utf-8") == text, "run `make docs`"


def models(model, seen):
    seen.add(model)
    for field in model.model_fields.values():
        for inner in inside(field.annotation):
            if inner not in seen:
                models(inner, seen)
    return seen


def inside(annotation):
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in getattr(annotation, "__args__", ()) for found in inside(part)]


@pytest.mark.parametrize("model", [RuleFile, ShopsFile, Situation])
def test_every_word_is_documented_once(model):
    found = models(model, set())
    assert len(found) > 3
    silent = [f"{one.__name__}.{name}" for one in found for name, f in one.model_fields.items() if not f.description]
    assert silent == []
    assert all(one.__doc__ for one in found)


def test_the_examples_of_the_page_are_read_without_a_mistake():
    assert read_policy(DOCS.EXAMPLE, "main.yaml", "main").mistakes == ()
    assert shops_from(read(DOCS.EXAMPLE_SHOPS, "shops.yaml")).mistakes == ()


def test_the_example_cart_is_a_cart():
    example = HOUSE / "docs" / "examples" / "cart.json"
    assert isinstance(read_situation(example.read_text("utf-8"), example.name), Situation)


def test_the_page_names_every_preset():
    page = (HOUSE / "docs" / "rules.md").read_text("utf-8")
    extends = RuleFile.model_fields["extends"].description
    assert presets() == sorted(path.stem for path in PRESETS.glob("*.yaml"))
    assert all(f"`{name}`" in page and f"`{name}`" in extends for name in presets())


def test_a_schema_takes_what_people_write():
    """Conditions are written shorter than they are kept, and a preset may have said what is needed."""
    schema = json.loads((HOUSE / "docs" / "schema" / "policy.schema.json").read_text("utf-8"))
    assert schema["required"] == []
    assert schema["$defs"]["Step"]["required"] == ["name"]
    assert [option["type"] for option in schema["$defs"]["Condition"]["anyOf"]] == ["string", "object"]
