"""From the text of a rule file to a policy, or to the list of its mistakes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from rules import hours, law, merge
from rules.conditions import faults
from rules.mistakes import from_validation
from rules.policy import Condition, Policy, PolicyWords, RuleFile
from rules.source import Loc, Mistake, Node, Place, Unreadable, Word, did_you_mean, read


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of a rule file: a policy, or mistakes. `tree`: the merged words with their places."""

    policy: Policy | None
    mistakes: tuple[Mistake, ...]
    tree: Node | None = None


def read_policy(text: str, file: str, name: str) -> Reading:
    """All mistakes are found that can be found at once."""
    try:
        root = read(text, file)
    except Unreadable as error:
        return Reading(None, error.mistakes)
    if not isinstance(root.value, dict):
        return Reading(
            None, (Mistake(root.place, "a rule file is made of words with values, like `extends: default`"),)
        )
    mistakes: list[Mistake] = []
    tree = merge.merged(root, mistakes)
    words = _words(tree, mistakes)
    if words is not None:
        mistakes += _cross_checks(words, tree)
    if mistakes or words is None:
        return Reading(None, tuple(sorted(set(mistakes))), tree)
    order = sorted(range(len(words.steps)), key=lambda no: words.steps[no].after)
    steps = tuple(words.steps[no] for no in order)
    return Reading(Policy(**{**dict(words), "steps": steps}, name=name), (), _reordered(tree, order))


def _reordered(tree: Node, order: Sequence[int]) -> Node:
    """The steps of the tree as the policy climbs them."""
    words = dict(tree.words())
    steps = words["steps"]
    nodes = tuple(steps.node.items()[no] for no in order)
    words["steps"] = Word(steps.place, Node(steps.node.place, nodes))
    return Node(tree.place, words)


def _words(tree: Node, mistakes: list[Mistake]) -> PolicyWords | None:
    try:
        return PolicyWords.model_validate(tree.plain())
    except ValidationError as error:
        mistakes += from_validation(error, tree, RuleFile)
        return None


def _cross_checks(words: PolicyWords, tree: Node) -> Iterator[Mistake]:
    for loc, text in _complaints(words):
        place = tree.find(loc)
        ours = '; it comes from the preset: say the word anew for that step, "~" for nothing'
        yield Mistake(place, text + ours if place.file.startswith("preset ") else text)


def _complaints(words: PolicyWords) -> Iterator[tuple[Loc, str]]:
    yield from _about_order(words)
    for no, step in enumerate(words.steps):
        earlier = [other.name for other in words.steps if other.after < step.after]
        for word in ("unless", "only_if"):
            condition: Condition | None = getattr(step, word)
            if condition is not None:
                yield from _about_condition(condition, earlier, ("steps", no, word))
    if words.starts.only_if is not None:
        yield from _about_condition(words.starts.only_if, [], ("starts", "only_if"))
    if words.starts.not_older_than < words.starts.rests_for:
        yield ("starts", "not_older_than"), "no cart could ever start: it is shorter than rests_for"
    probe = Policy(**{**dict(words), "name": "probe"})
    place: Loc = ("on",) if words.on.between is not None else ("quiet",)
    if not hours.ever_allowed(probe):
        yield place, "quiet hours, days and hours together leave no minute of the week"
        return
    for channel in dict.fromkeys(step.send for step in words.steps):
        if not hours.ever_allowed(probe, law.weeks(probe.profile, channel)):
            yield place, f'quiet hours, days and hours leave no minute that profile "{probe.profile}" has for {channel}'


def _about_order(words: PolicyWords) -> Iterator[tuple[Loc, str]]:
    names: set[str] = set()
    times: dict[object, str] = {}
    for no, step in enumerate(words.steps):
        if step.name in names:
            yield ("steps", no, "name"), f'there is already a step "{step.name}"'
        elif step.after in times:
            yield ("steps", no, "after"), f"{step.name} is due at the same time as {times[step.after]}"
        names.add(step.name)
        times.setdefault(step.after, step.name)
        if step.after < words.starts.rests_for:
            yield ("steps", no, "after"), f"{step.name} is due before the cart has come to rest (starts.rests_for)"


def _about_condition(condition: Condition, earlier: Sequence[str], loc: Loc) -> Iterator[tuple[Loc, str]]:
    if condition.cel:
        yield from ((loc, text) for text in faults(condition.cel, earlier))
    elif not condition.steps and condition.cart is None and condition.person is None:
        yield loc, "this condition says nothing; write a CEL expression, or words like {remind: [opened]}"
    for name, reactions in condition.steps.items():
        if name not in earlier:
            hint = did_you_mean(name, [*earlier, "cart", "person"])
            yield (*loc, name), f'no earlier step is called "{name}"{hint}'
        elif not reactions:
            yield (*loc, name), "name at least one reaction: [opened, clicked]"


def shown(tree: Node) -> list[tuple[str, str]]:
    """The merged policy line by line, each with where it came from: `main.yaml:4` or `preset fashion:7`."""
    return [(line, _origin(place)) for line, place in merge.lines(tree, _scalar)]


def _origin(place: Place) -> str:
    return f"{place.file}:{place.line}"


def _scalar(value: object) -> str:
    if isinstance(value, str):
        return value if value and not set(value) & set(":#{}[],&*!|>'\"%@`") else json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[" + ", ".join(_scalar(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_scalar(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)
