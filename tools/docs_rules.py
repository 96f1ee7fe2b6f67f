"""Writes docs/rules.md and the JSON Schemas for editors from the models of rule files."""

import json
import sys
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

HOUSE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HOUSE))

from pydantic import BaseModel, TypeAdapter  # noqa: E402

from rules import law, merge  # noqa: E402
from rules.conditions import CART_WORDS, ITEM_WORDS, PERSON_WORDS, STEP_WORDS  # noqa: E402
from rules.policy import CartWords, PersonWords, RuleFile  # noqa: E402
from rules.reader import read_policy  # noqa: E402
from rules.shops import ShopsFile  # noqa: E402
from rules.situation import Situation  # noqa: E402
from rules.values import spoken, write_span  # noqa: E402

FIRST = ("extends", "without")
SPAN = TypeAdapter(timedelta)
EXAMPLE = """extends: fashion
shops: [main]
legal: de
starts:
  total_at_least: 20 EUR
  existing_customers_only: true
steps:
  - {name: remind, after: 1h}                          # the preset's step, an hour after the last change
  - {name: doubts, unless: {remind: [clicked]}}        # left out for those who clicked in the first mail
  - {name: last-call, only_if: {cart: {total_at_least: 50 EUR}}}
"""
EXAMPLE_SHOPS = """shops:
  main:
    connector: push
    mode: rehearsal
    rehearsal_to: me@shop.example
    zone: Europe/Berlin
    locale: de-DE
    url: https://shop.example
    cart_page: https://shop.example/cart
    legal: de
    sender:
      name: Lampen-Löwe
      address: hallo@shop.example
      imprint: [Lampen-Löwe GmbH, Weg 1, 10115 Berlin, "HRB 12345, AG Charlottenburg"]
    existing_customer_notice: {since: 2024-05-01, version: v3}
    connection:
      secrets: ["${SHOP_SECRET}"]
"""


def pages() -> dict[str, str]:
    """Every generated file by its path in the repository."""
    return {
        "docs/rules.md": "\n".join(page()) + "\n",
        "docs/schema/policy.schema.json": schema(RuleFile, "A tillbell policy"),
        "docs/schema/shops.schema.json": schema(ShopsFile, "tillbell's shops.yaml"),
        "docs/schema/cart.schema.json": schema(Situation, "A cart.json for tillbell rules try"),
    }


def page() -> Iterator[str]:
    yield "# Rule files"
    yield ""
    yield "<!-- Written by tools/docs_rules.py from the models: change those, then run `make docs`. -->"
    yield ""
    yield from _intro()
    yield "## Words of a policy"
    yield ""
    yield from _tables(RuleFile, "")
    yield from _conditions()
    yield from _presets()
    yield from _laws()
    yield "## Words of shops.yaml"
    yield ""
    yield from ("```yaml", *EXAMPLE_SHOPS.splitlines(), "```", "")
    yield from _tables(ShopsFile, "")
    yield "## Words of a cart.json"
    yield ""
    yield "`tillbell rules try docs/examples/cart.json --at +24h` puts a policy's questions to it."
    yield ""
    yield from _tables(Situation, "")


def _intro() -> Iterator[str]:
    yield "One file a policy, in YAML 1.2, in the folder `TILLBELL_RULES_DIR`; `shops.yaml` beside them, your own"
    yield "templates under `templates/`. The file's name is the policy's. Of several policies that fit a cart, the"
    yield "first by file name takes it. A file with a mistake changes nothing: what was good before goes on."
    yield ""
    yield from ("```yaml", *EXAMPLE.splitlines(), "```", "")
    yield "* `tillbell rules check` tells every mistake with its place, `tillbell rules show NAME` prints the merged"
    yield "  policy with the origin of each line, `tillbell rules try CART.json --at TIME` puts its questions to a"
    yield "  made-up cart."
    yield "* For editors: `# yaml-language-server: $schema=…/docs/schema/policy.schema.json` as the first line."
    yield "* Spans of time have a unit (`45m`, `24h`, `7d`), money has a currency (`20 EUR`), shares a sign (`10%`)."
    yield "* A policy laid over a preset replaces what it names. `starts`, `caps` and `on` are laid over word by word,"
    yield "  steps by their name; lists are replaced. Steps are climbed in the order of `after`."
    yield "* A recovery keeps the steps, order, delays and conditions it began with. Law, caps, quiet hours, days,"
    yield "  stops and never-write lists are always the newest; a step that the newest file no longer has is not taken."
    yield ""


def _tables(model: type[BaseModel], path: str) -> Iterator[str]:
    """The model's own table, then those of the models in it."""
    whole = _tidy(model)
    seen: set[str] = set()
    yield from _table(whole, whole, path, seen)


def _table(part: dict[str, Any], whole: dict[str, Any], path: str, seen: set[str]) -> Iterator[str]:
    if path:
        yield f"### `{path}`"
        yield ""
    yield from ((part.get("description", ""), "") if path else ())
    yield "| word | value | default | what it means |"
    yield "|---|---|---|---|"
    words = dict(sorted(part["properties"].items(), key=lambda pair: pair[0] not in FIRST))
    for name, word in words.items():
        default = "needed" if name in part.get("required", ()) else _default(word)
        said = word.get("description") or whole["$defs"].get(_inner(word), {}).get("description", "")
        yield f"| `{name}` | {_value(word, whole)} | {default} | {said} |"
    yield ""
    for name, word in words.items():
        inner = _inner(word)
        if inner and inner not in seen and inner != "Condition":
            seen.add(inner)
            yield from _table(whole["$defs"][inner], whole, f"{path}.{name}".lstrip("."), seen)


def _inner(word: Any) -> str:
    """The name of the model inside of a word's schema."""
    if isinstance(word, dict):
        if "$ref" in word:
            return str(word["$ref"]).rpartition("/")[2]
        parts = [word.get("items"), word.get("additionalProperties"), *word.get("patternProperties", {}).values()]
        return next((found for part in [*parts, *word.get("anyOf", [])] if (found := _inner(part))), "")
    return ""


def _default(word: dict[str, Any]) -> str:
    value = word.get("default")
    return "" if value in (None, "", [], {}) else f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)


def _value(word: dict[str, Any], whole: dict[str, Any]) -> str:
    options = [one for one in word.get("anyOf", [word]) if one.get("type") != "null"]
    return " or ".join(dict.fromkeys(_one(option, whole) for option in options))


def _one(word: dict[str, Any], whole: dict[str, Any]) -> str:
    if "$ref" in word:
        return "a condition" if _inner(word) == "Condition" else "words"
    if "enum" in word or "const" in word:
        return ", ".join(f"`{one}`" for one in word.get("enum", [word.get("const")]))
    if "examples" in word:
        return f"like `{word['examples'][0]}`"
    match word.get("type"):
        case "array":
            return f"list of {_value(word.get('items', {}), whole)}"
        case "boolean":
            return "`true`, `false`"
        case "integer" | "number":
            return "number"
        case "object":
            return "words by name" if _inner(word) else "words"
    return {"date": "day", "date-time": "time"}.get(word.get("format", ""), "text")


def _conditions() -> Iterator[str]:
    yield "### Conditions"
    yield ""
    yield "`unless` and `only_if` take structured words, or one CEL expression as a text."
    yield ""
    yield "* `{remind: [opened, clicked]}`: the earlier step `remind` was opened or clicked. Reactions are `opened`,"
    yield "  `clicked`, `replied`, `bounced`; hits of machines do not count. A step that was left out has none."
    yield "* `unless: {nudge: [sent]}`: the step takes the place of `nudge` where that did not go out, whatever the"
    yield "  reason: no consent, no number, no budget."
    yield "* `unless: {remind: [opened, clicked]}` has three answers. Opened or clicked by a human: the step is left"
    yield "  out. Neither: it goes. Opened by machines at most, as Apple does with every mail: `on_unknown_open` says."
    yield "  Where `remind` may not have arrived, the step waits. Where opens may not be followed, there is no pixel,"
    yield "  and clicks decide. So under a profile that asks for tracking consent `check` refuses a step that `opened`"
    yield "  alone decides; write `[clicked]`, or `[opened, clicked]`, of which the click counts for who gave none."
    yield "* `{cart: {…}}` and `{person: {…}}`: all of the words inside must hold."
    yield "* Of several entries `only_if` wants every one; `unless` is content with one."
    yield (
        "* CEL knows "
        + ", ".join(
            f"`{name}` ({', '.join(words)})"
            for name, words in (("cart", CART_WORDS), ("cart.items", ITEM_WORDS), ("person", PERSON_WORDS))
        )
        + f", and `steps.NAME` ({', '.join(STEP_WORDS)}). Numbers are decimal: `cart.total > 50.0`."
    )
    yield "* What cannot be answered (the price of a line that the shop does not tell) counts as not holding, and"
    yield "  the decision says so."
    yield ""
    for title, model in (("cart", CartWords), ("person", PersonWords)):
        yield f"#### `{title}` in a condition"
        yield ""
        schema_of = _tidy(model)
        yield from _table({**schema_of, "description": ""}, schema_of, "", set())


def _presets() -> Iterator[str]:
    yield "## Presets"
    yield ""
    yield "| preset | rests for | steps | not older than |"
    yield "|---|---|---|---|"
    for name in merge.presets():
        policy = read_policy(f"extends: {name}\n", "x.yaml", name).policy
        assert policy is not None
        steps = ", ".join(f"`{step.name}` {spoken(step.after)}" for step in policy.steps)
        starts = policy.starts
        yield f"| `{name}` | {spoken(starts.rests_for)} | {steps} | {spoken(starts.not_older_than)} |"
    yield ""


def _laws() -> Iterator[str]:
    yield "## Country profiles"
    yield ""
    yield "**This is engineering, not legal advice.** Have the profile you use checked by someone who may give it: laws"
    yield "change, courts disagree, and several of these notes come from texts about a law, not from the law. Each rule"
    yield "names its source, when it was noted, and where it was read for that; `not re-read` means general knowledge."
    yield ""
    yield "Whoever withdrew or objected is not written to under any profile. The hours are those where the person is."
    yield "Of the zone of the shipping address and that of the number's prefix both count if both are known, as do"
    yield "two states of the USA. `tillbell why CART --full` quotes the rule behind each answer, with its source and"
    yield "date; `tillbell rules law` prints them all."
    yield ""
    yield from _laws_in_short()
    for profile in law.PROFILES.values():
        yield f"### `{profile.name}`: {profile.title}"
        yield ""
        yield from (f"* {_rule(rule)}" for rule in profile.every_rule())
        yield ""


def _laws_in_short() -> Iterator[str]:
    yield "| profile | needs a ground on | a purchase is one on | tracking by consent | texts at most |"
    yield "|---|---|---|---|---|"
    for profile in law.PROFILES.values():
        caps = [str(cap) for cap in law.caps(profile.name, "sms")]
        limit = law.per_cart(profile.name, "sms")
        caps += [f"{limit.count} a cart, within {spoken(limit.within)}"] if limit else []
        cells = (_listed(profile.ground_needed_on), _listed(profile.existing_customers_on))
        yield f"| `{profile.name}` | {' | '.join(cells)} | {_listed(profile.tracking_by_consent)} | {'; '.join(caps)} |"
    yield ""


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(word.replace("track_", "") for word in words)) or "nothing"


def _rule(rule: law.Rule) -> str:
    read = f"read in {rule.seen}" if rule.seen else "not re-read"
    return f"{rule.text} ({rule.source}; noted {rule.noted}, {'ours' if rule.source == law.OWN else read})"


def schema(model: type[BaseModel], title: str) -> str:
    whole = _tidy(model)
    _loosen(whole)
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole, "title": title}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _tidy(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of the model with defaults as people write them, and without titles that repeat the names."""
    whole = model.model_json_schema()
    for part in (whole, *whole.get("$defs", {}).values()):
        part.pop("title", None)
        for name, word in part.get("properties", {}).items():
            word.pop("title", None)
            if str(word.get("default", "")).startswith("P"):
                word["default"] = write_span(SPAN.validate_python(word["default"]))
            if name == "holdout":
                word["default"] = "10%"
    return whole


def _loosen(whole: dict[str, Any]) -> None:
    """What a preset may have said need not be said again; conditions are written shorter than they are kept."""
    definitions = whole.get("$defs", {})
    if "Step" in definitions:
        whole["required"] = []
        definitions["Step"]["required"] = ["name"]
    if "Condition" in definitions:
        condition = definitions["Condition"]
        steps = condition["properties"]["steps"]["additionalProperties"]
        about = {key: condition["properties"][key] for key in ("cart", "person")}
        either = {"anyOf": [steps, steps["items"]]}
        definitions["Condition"] = {
            "description": condition["description"],
            "anyOf": [
                {"type": "string", "maxLength": 1000},
                {"type": "object", "properties": about, "additionalProperties": either},
            ],
        }


if __name__ == "__main__":
    for path, text in pages().items():
        (HOUSE / path).parent.mkdir(parents=True, exist_ok=True)
        (HOUSE / path).write_text(text, "utf-8")
