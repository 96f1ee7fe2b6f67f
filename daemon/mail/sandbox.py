"""What a template may say: values, if, for over the lines, a few filters. No calls, no variables, no code.

Two fences stand behind each other. `look_at` reads the parsed template and refuses all but a short list of constructs,
each with its line; what passes can neither call anything nor grow beyond (source × lines²). Jinja's own immutable
sandbox then runs it, with products and powers intercepted. Templates come from the admin's disk only, so what has
passed is rendered in the daemon itself; a third fence, for `check` and at load, is `daemon.mail.trial`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NoReturn

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from daemon.mail.errors import Finding

LARGEST = 64 * 1024
DEEPEST = 40
DEEPEST_LOOPS = 2
LINE = frozenset(
    ("name", "options", "quantity", "price", "sum", "amount", "image_url", "url", "sold_out", "initial")
)  # fmt: skip
KNOWN: Mapping[str, frozenset[str]] = {
    "mail": frozenset((
        "subject", "preheader", "language", "direction", "rehearsal", "pixel_url", "honeypot_url", "unsubscribe_url",
        "preferences_url",
        "reason", "objection",
    )),
    "shop": frozenset(("name", "url", "logo_url", "accent", "on_accent", "link", "shipping_url", "returns_url")),
    "person": frozenset(("first_name",)),
    "cart": frozenset(("url", "total", "total_is_estimate", "count", "more", "date")),
}  # fmt: skip
"""The values of a mail and what each holds; `words` holds the words of its language besides."""
LISTS: Mapping[str, frozenset[str]] = {"lines": LINE, "imprint": frozenset()}
LOOP = frozenset(("index", "index0", "revindex", "revindex0", "first", "last", "length"))
FILTERS = ("e", "escape", "upper", "lower", "capitalize", "title", "trim", "default", "d", "length", "count", "first",
           "last", "truncate", "urlencode", "abs", "int")  # fmt: skip
TESTS = ("defined", "undefined", "none", "odd", "even", "divisibleby", "eq", "equalto", "ne", "gt", "ge", "lt", "le")
TAKEN = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const, nodes.If,
    nodes.For, nodes.Filter, nodes.Test, nodes.And, nodes.Or, nodes.Not, nodes.Compare, nodes.Operand, nodes.CondExpr,
    nodes.Concat, nodes.Add, nodes.Sub, nodes.Neg, nodes.Include,
)  # fmt: skip
REFUSED = {
    "Call": "calls are not taken: a template only shows values",
    "Assign": "`set` is not taken",
    "AssignBlock": "`set` is not taken",
    "Macro": "macros are not taken",
    "Mul": "`*` is not taken: amounts come ready for print",
    "Pow": "`**` is not taken",
}
PART = re.compile(r"parts/[a-z0-9_-]+\.txt")
INCLUDE = re.compile(r"{%-?\s*include\s+\"(parts/[a-z0-9_-]+\.txt)\"\s*-?%}")


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja with the fence that stays up while a mail is made."""

    intercepted_binops = frozenset(("**", "*", "//", "%"))

    def __init__(self, *, html: bool) -> None:
        super().__init__(
            autoescape=html, undefined=StrictUndefined, trim_blocks=not html, lstrip_blocks=not html, cache_size=0
        )
        self.filters = {name: self.filters[name] for name in FILTERS}
        self.tests = {name: self.tests[name] for name in TESTS}
        self.globals = {}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Values are dicts: `cart.items` is an entry or nothing, never the dict's own method."""
        if type(obj) is dict:
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> NoReturn:  # noqa: ARG002
        raise SecurityError(f"{operator} is not taken in a template")

    def is_safe_callable(self, obj: Any) -> bool:  # noqa: ARG002
        return False


def look_at(source: str, file: str, *, whole: bool = False) -> Look:
    """What is wrong with one template, and what it says. `whole`: its parts have been put in."""
    look = Look(file, whole)
    try:
        if len(source) > LARGEST:
            raise TemplateSyntaxError("larger than 64 KB", 0)
        look.at(Sandbox(html=True).parse(source), {}, 0, 0)
    except TemplateSyntaxError as error:
        look.findings.append(Finding(file, error.lineno, error.message or "not a template"))
    except RecursionError:
        look.findings.append(Finding(file, 0, "too deeply nested"))
    return look


class Look:
    """One walk over a parsed template: its mistakes, its words each with the line that says it first, its values."""

    def __init__(self, file: str, whole: bool) -> None:
        self.file, self.whole = file, whole
        self.findings: list[Finding] = []
        self.words: dict[str, int] = {}
        self.values: set[str] = set()

    def found(self, node: nodes.Node, says: str) -> None:
        line = node.lineno or next((child.lineno for child in node.find_all(nodes.Node) if child.lineno), 0)
        self.findings.append(Finding(self.file, line, says))

    def at(self, node: nodes.Node, names: Mapping[str, frozenset[str]], depth: int, loops: int) -> None:
        """`names`: what the loops around have brought, each with its attributes."""
        if depth > DEEPEST:
            return self.found(node, "too deeply nested")
        if not isinstance(node, TAKEN):
            kind = type(node).__name__
            return self.found(node, REFUSED.get(kind, f"`{kind.lower()}` is not taken in a mail"))
        if isinstance(node, nodes.For):
            return self.loop(node, names, depth, loops)
        if isinstance(node, nodes.Getattr | nodes.Getitem | nodes.Name):
            return self.value(node, names)
        if isinstance(node, nodes.Filter | nodes.Test):
            self.filter(node)
        if isinstance(node, nodes.Include):
            self.include(node, loops)
        for child in node.iter_child_nodes():
            self.at(child, names, depth + 1, loops)
        return None

    def loop(self, node: nodes.For, names: Mapping[str, frozenset[str]], depth: int, loops: int) -> None:
        over = node.iter.name if isinstance(node.iter, nodes.Name) else ""
        if over not in LISTS or over in names:
            return self.found(node, f"a loop goes over {' or '.join(sorted(LISTS))}")
        if not isinstance(node.target, nodes.Name) or node.recursive:
            return self.found(node, f"write the loop as {{% for line in {over} %}}")
        if node.target.name in KNOWN or node.target.name in LISTS or node.target.name in ("words", "loop"):
            return self.found(node, f"{node.target.name} has a meaning of its own; take another name")
        if loops == DEEPEST_LOOPS:
            return self.found(node, f"more than {DEEPEST_LOOPS} loops within each other")
        self.values.add(over)
        inner = {**names, node.target.name: LISTS[over], "loop": LOOP}
        for child in (*node.body, *([node.test] if node.test else [])):
            self.at(child, inner, depth + 1, loops + 1)
        for child in node.else_:
            self.at(child, names, depth + 1, loops)
        return None

    def value(self, node: nodes.Node, names: Mapping[str, frozenset[str]]) -> None:
        path = list(dotted(node))
        head, rest = (path[0], path[1:]) if path else ("", [])
        if head == "words" and len(rest) == 1 and rest[0].isidentifier() and not rest[0].startswith("_"):
            self.words.setdefault(rest[0], node.lineno)
            return None
        if not path or head == "words":
            return self.found(node, "only plain values are taken, as in {{ cart.total }}")
        self.values.add(".".join(path))
        within = names.get(head, KNOWN.get(head, frozenset() if head in LISTS else None))
        if within is None:
            close = did_you_mean(head, [*KNOWN, *LISTS, *names, "words"])
            return self.found(node, f'unknown value "{head}"{close}')
        if len(rest) > 1 or (rest and rest[0] not in within):
            whole = ".".join(path)
            return self.found(node, f'unknown value "{whole}"{did_you_mean(rest[0], within, head)}')
        return None

    def filter(self, node: nodes.Filter | nodes.Test) -> None:
        allowed = FILTERS if isinstance(node, nodes.Filter) else TESTS
        if node.name not in allowed:
            kind = "filter" if isinstance(node, nodes.Filter) else "test"
            self.found(node, f'unknown {kind} "{node.name}"; there are {", ".join(sorted(allowed))}')
        if node.dyn_args or node.dyn_kwargs:
            self.found(node, "lists of arguments are not taken")

    def include(self, node: nodes.Include, loops: int) -> None:
        path = node.template.value if isinstance(node.template, nodes.Const) else ""
        if self.whole or loops or not PART.fullmatch(str(path)) or node.ignore_missing:
            self.found(node, 'write it as {% include "parts/NAME.txt" %}, outside of loops')


def dotted(node: nodes.Node) -> Iterator[str]:
    """`cart.total` and `cart["total"]` as their names; nothing for anything else."""
    if isinstance(node, nodes.Name):
        yield node.name
    elif isinstance(node, nodes.Getattr) and (before := list(dotted(node.node))):
        yield from (*before, node.attr)
    elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and (before := list(dotted(node.node))):
        yield from (*before, str(node.arg.value))


def did_you_mean(name: str, known: Any, head: str = "") -> str:
    close = get_close_matches(name, sorted(known), n=1)
    return (
        f'; did you mean "{head}.{close[0]}"?' if close and head else f'; did you mean "{close[0]}"?' if close else ""
    )


def expanded(source: str, parts: Mapping[str, str]) -> str:
    """The text source with its includes put in; a KeyError names a part that is not there."""
    return INCLUDE.sub(lambda match: parts[match[1]], source)
