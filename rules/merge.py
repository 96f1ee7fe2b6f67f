"""A rule file laid over the preset it extends, each word still knowing where it came from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rules.source import Mistake, Node, Place, Unreadable, Word, did_you_mean, read

PRESETS = Path(__file__).parent / "presets"
Deep = dict[str, "Deep"]
BY_WORD: Deep = {"starts": {"never": {}}, "caps": {}, "on": {}}
"""Mappings that are merged word by word; anything else that a file says replaces what the preset says."""


def presets() -> list[str]:
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def merged(root: Node, mistakes: list[Mistake]) -> Node:
    """With the preset under it, if it extends one; without the words `extends` and `without`."""
    words = dict(root.words())
    extends, without = words.pop("extends", None), words.pop("without", None)
    over = Node(root.place, words)
    if extends is None:
        if without is not None:
            mistakes.append(Mistake(without.place, 'only a policy that extends a preset can be "without" its steps'))
        return over
    base = _preset(extends, mistakes)
    if base is None:
        return over
    return _over(_without(base, without, mistakes), over, BY_WORD)


def _preset(extends: Word, mistakes: list[Mistake]) -> Node | None:
    name, known = extends.node.value, presets()
    if name not in known:
        hint = did_you_mean(name, known) or f"; presets are {', '.join(known)}"
        mistakes.append(Mistake(extends.node.place, f'unknown preset "{name}"{hint}'))
        return None
    path = PRESETS / f"{name}.yaml"
    try:
        return merged(read(path.read_text("utf-8"), f"preset {name}"), mistakes)
    except Unreadable as error:  # pragma: no cover - ours are tested
        mistakes.extend(error.mistakes)
        return None


def _without(base: Node, without: Word | None, mistakes: list[Mistake]) -> Node:
    """The preset's steps but for those named."""
    if without is None:
        return base
    words = dict(base.words())
    names = _names(words["steps"].node)
    left = without.node.items() or (without.node,)
    for item in left:
        if item.value not in names:
            hint = did_you_mean(item.value, names) or f"; its steps are {', '.join(names)}"
            mistakes.append(Mistake(item.place, f'the preset has no step "{item.value}"{hint}'))
    gone = {item.value for item in left}
    steps = words["steps"]
    kept = tuple(step for step, name in zip(steps.node.items(), names, strict=True) if name not in gone)
    words["steps"] = Word(steps.place, Node(steps.node.place, kept))
    return Node(base.place, words)


def _names(steps: Node) -> list[str]:
    return [str(step.words()["name"].node.value) if "name" in step.words() else "" for step in steps.items()]


def _over(base: Node, over: Node, deep: Deep) -> Node:
    words = dict(base.words())
    for key, word in over.words().items():
        words[key] = _laid_over(words[key], word, key, deep) if key in words else word
    return Node(over.place, words)


def _laid_over(under: Word, word: Word, key: str, deep: Deep) -> Word:
    if key == "steps" and word.node.items():
        return Word(word.place, _steps(under.node, word.node))
    if key in deep and word.node.words():
        return Word(word.place, _over(under.node, word.node, deep[key]))
    return word


def _steps(base: Node, over: Node) -> Node:
    """Steps of one name are one step, the file's words over the preset's; new ones are added."""
    names = _names(over)
    changes = {name: step for name, step in zip(names, over.items(), strict=True) if name}
    kept = _names(base)
    steps = [_over(step, changes[n], {}) if n in changes else step for n, step in zip(kept, base.items(), strict=True)]
    steps += [step for name, step in zip(names, over.items(), strict=True) if name not in kept]
    return Node(over.place, tuple(steps))


def lines(node: Node, show: Callable[[object], str], indent: int = 0) -> list[tuple[str, Place]]:
    """The merged policy as YAML lines, each with the place its word came from."""
    out: list[tuple[str, Place]] = []
    pad = "  " * indent
    for key, word in node.words().items():
        out += _word(f"{pad}{key}:", word.node, word.place, show, indent)
    return out


def _word(head: str, node: Node, place: Place, show: Callable[[object], str], indent: int) -> list[tuple[str, Place]]:
    if node.words():
        return [(head, place), *lines(node, show, indent + 1)]
    items = node.items()
    if items and all(item.words() for item in items):
        return [(head, place), *(line for item in items for line in _item(item, show, indent + 1))]
    return [(f"{head} {show(node.plain())}", place)]


def _item(item: Node, show: Callable[[object], str], indent: int) -> list[tuple[str, Place]]:
    (first, place), *rest = lines(item, show, indent + 1)
    dash = "  " * indent + "- " + first.lstrip()
    return [(dash, place), *rest]
