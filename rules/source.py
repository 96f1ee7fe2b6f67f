"""YAML 1.2 text as plain data in which every word still knows its place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.nodes import Node as YamlNode

LARGEST = 1_000_000
"""Bytes of one file."""
MOST_NODES = 20_000
"""Words of one file with its aliases written out: a few lines of aliases of aliases would fill the memory."""

Loc = tuple[str | int, ...]
Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a word stands. Lines and columns count from 1; `path` is `steps[1].after`."""

    file: str
    line: int
    column: int
    path: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """A mistake by an admin: its address, and a sentence with a hint."""

    place: Place
    text: str

    def __str__(self) -> str:
        path = f" {self.place.path}" if self.place.path else ""
        return f"{self.place}{path}: {self.text}"


@dataclass(frozen=True, slots=True)
class Word:
    """A key of a mapping with its value."""

    place: Place
    node: Node


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its place."""

    place: Place
    value: Scalar | tuple[Node, ...] | Mapping[str, Word]

    def plain(self) -> Any:
        """Without places: dict, list and scalars."""
        if isinstance(self.value, Mapping):
            return {key: word.node.plain() for key, word in self.value.items()}
        if isinstance(self.value, tuple):
            return [node.plain() for node in self.value]
        return self.value

    def words(self) -> Mapping[str, Word]:
        """Of a mapping; empty for anything else."""
        return self.value if isinstance(self.value, Mapping) else {}

    def items(self) -> Sequence[Node]:
        """Of a list; empty for anything else."""
        return self.value if isinstance(self.value, tuple) else ()

    def find(self, loc: Iterable[str | int], *, key: bool = False) -> Place:
        """The place of what lies under `loc`, or of what is nearest above it. `key`: the place of the word itself."""
        node, place = self, self.place
        for part in loc:
            if isinstance(part, str) and part in node.words():
                word = node.words()[part]
                node, place = word.node, word.place if key else word.node.place
            elif isinstance(part, int) and part < len(node.items()):
                node = node.items()[part]
                place = node.place
        return place


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """`; did you mean "after"?` or nothing."""
    near = nearest(word, known)
    return f'; did you mean "{near}"?' if near else ""


def nearest(word: object, known: Iterable[str]) -> str:
    """The known word that looks most like it; empty if none does."""
    near = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return near[0] if near else ""


class Unreadable(Exception):
    """The text is not YAML that we take; `mistakes` says where and why."""

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__("; ".join(map(str, mistakes)))
        self.mistakes = mistakes


def read(text: str, file: str) -> Node:
    """The tree of one document. An empty file is an empty mapping. Raises Unreadable with all mistakes found."""
    if len(text.encode(errors="replace")) > LARGEST:
        raise Unreadable(Mistake(Place(file, 1, 1), "the file is larger than 1 MB"))
    root = _compose(text, file)
    if root is None:
        return Node(Place(file, 1, 1), {})
    reading = _Reading(file)
    node = reading.node(root, "")
    if reading.mistakes:
        raise Unreadable(*reading.mistakes)
    return node


def _compose(text: str, file: str) -> YamlNode | None:
    yaml = YAML(typ="safe", pure=True)
    try:
        root: YamlNode | None = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1, 1)
        raise Unreadable(Mistake(place, f"this is not YAML: {error.problem or error.context}")) from None
    except YAMLError as error:
        raise Unreadable(Mistake(Place(file, 1, 1), f"this is not YAML: {str(error).splitlines()[0]}")) from None
    except RecursionError:
        raise Unreadable(Mistake(Place(file, 1, 1), "the file is nested too deeply")) from None
    return root


class _Reading:
    """One walk over the nodes of a file, aliases written out, mistakes collected."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.mistakes: list[Mistake] = []
        self._count = 0
        self._above: set[int] = set()

    def node(self, raw: YamlNode, path: str) -> Node:
        place = self._place(raw, path)
        self._count += 1
        if self._count > MOST_NODES:
            raise Unreadable(Mistake(place, f"more than {MOST_NODES} words with the aliases written out"))
        if id(raw) in self._above:
            raise Unreadable(Mistake(place, "this alias contains itself"))
        self._above.add(id(raw))
        try:
            return Node(place, self._value(raw, path))
        finally:
            self._above.discard(id(raw))

    def _value(self, raw: YamlNode, path: str) -> Scalar | tuple[Node, ...] | Mapping[str, Word]:
        if isinstance(raw, MappingNode):
            return dict(self._pairs(raw, path))
        if isinstance(raw, SequenceNode):
            return tuple(self.node(item, f"{path}[{no}]") for no, item in enumerate(raw.value))
        assert isinstance(raw, ScalarNode)
        return self._scalar(raw, path)

    def _pairs(self, raw: MappingNode, path: str) -> Iterator[tuple[str, Word]]:
        seen: set[str] = set()
        for key, value in raw.value:
            if not isinstance(key, ScalarNode):
                self._mistake(key, path, "a word must be a plain text")
                continue
            word = str(key.value)
            at = f"{path}.{word}" if path else word
            if word in seen:
                self._mistake(key, at, f'the word "{word}" is here twice')
            seen.add(word)
            yield word, Word(self._place(key, at), self.node(value, at))

    def _scalar(self, raw: ScalarNode, path: str) -> Scalar:
        tag, text = str(raw.tag).rpartition(":")[2], str(raw.value)
        try:
            match tag:
                case "str" | "timestamp":
                    return text
                case "null":
                    return None
                case "bool":
                    return text.lower() == "true"
                case "int":
                    return int(text.replace("_", ""), 0) if text.lstrip("+-0_") else 0
                case "float":
                    return float(text.replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            return text
        self._mistake(raw, path, f'the tag "{raw.tag}" is not known here')
        return None

    def _place(self, raw: YamlNode, path: str) -> Place:
        return Place(self.file, raw.start_mark.line + 1, raw.start_mark.column + 1, path)

    def _mistake(self, raw: YamlNode, path: str, text: str) -> None:
        self.mistakes.append(Mistake(self._place(raw, path), text))
