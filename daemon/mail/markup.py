"""MJML to HTML, once for each template. Tags and attributes that a mail should not have are refused by line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from xml.parsers import expat

from mjml import mjml2html

from daemon.mail.errors import Finding

MJML = frozenset((
    "mjml", "mj-include", "mj-all", "mj-accordion", "mj-accordion-element", "mj-accordion-text", "mj-accordion-title",
    "mj-attributes", "mj-body", "mj-breakpoint", "mj-button", "mj-class", "mj-column", "mj-divider", "mj-group",
    "mj-head", "mj-hero", "mj-image", "mj-navbar", "mj-navbar-link", "mj-preview", "mj-raw", "mj-section", "mj-social",
    "mj-social-element", "mj-spacer", "mj-style", "mj-table", "mj-text", "mj-title", "mj-wrapper",
))  # fmt: skip
HTML = frozenset((
    "a", "b", "bdi", "blockquote", "br", "center", "code", "div", "em", "h1", "h2", "h3", "h4", "hr", "i", "img", "li",
    "meta", "ol", "p", "pre", "s", "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th",
    "thead", "tr", "u", "ul",
))  # fmt: skip
LINKS = ("href", "src", "background-url", "background")
INCLUDE = re.compile(r"<mj-include\s+path=\"(parts/[a-z0-9_-]+\.mjml)\"\s*(?:/>|></mj-include>)")
ROLELESS = re.compile(r"<table(?![^>]*\brole=)")
BREAKS = re.compile(r' (?=(?:style|cellpadding)=")')
DEEPEST = 60
FRAGMENT = "fragment"


class Reader:
    """Reads one MJML file for its mistakes. mrml itself takes unknown tags silently and names no line."""

    def __init__(self, file: str, whole: bool) -> None:
        self.file, self.whole = file, whole
        self.findings: list[Finding] = []
        self.depth = 0
        self.parser = expat.ParserCreate()
        self.parser.UseForeignDTD(True)  # so that &nbsp; and its like pass
        self.parser.StartElementHandler = self.opened
        self.parser.EndElementHandler = self.closed
        self.parser.StartDoctypeDeclHandler = self.doctype

    def read(self, source: str) -> list[Finding]:
        text = source if self.whole else f"<{FRAGMENT}>{source}</{FRAGMENT}>"
        try:
            self.parser.Parse(text, True)
        except expat.ExpatError as error:
            hint = " (close every tag, write &lt; and &amp;, keep double quotes out of quoted attributes)"
            self.found(f"{expat.ErrorString(error.code)}{hint}", error.lineno)
        return self.findings

    def found(self, says: str, line: int = 0) -> None:
        self.findings.append(Finding(self.file, line or self.parser.CurrentLineNumber, says))

    def doctype(self, *_: object) -> None:
        self.found("a document type is not taken")
        raise Doctype

    def closed(self, _: str) -> None:
        self.depth -= 1

    def opened(self, tag: str, attributes: Mapping[str, str]) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise TooDeep
        if tag == FRAGMENT and not self.whole and self.depth == 1:
            return
        if self.whole and self.depth == 1 and tag != "mjml":
            self.found("must begin with <mjml>")
        if tag not in MJML and tag not in HTML:
            self.found(f"unknown tag <{tag}>{hint(tag)}")
        for name, value in attributes.items():
            self.attribute(tag, name, value)

    def attribute(self, tag: str, name: str, value: str) -> None:
        if name.lower().startswith("on"):
            self.found(f"{name} on <{tag}>: mails run no scripts")
        if name == "include" or (tag == "mj-include" and name != "path"):
            self.found(f"{name} on <{tag}> is not taken")
        if name in LINKS and not value.startswith(("{{", "https://", "http://", "mailto:", "tel:")):
            self.found(f"{name} of <{tag}> must be a value ({{{{ … }}}}) or a whole address")


class TooDeep(Exception):
    """Tags within tags within tags."""


class Doctype(Exception):
    """Entities of one's own: a known way to use up all memory."""


def mistakes(source: str, file: str, *, whole: bool = True) -> list[Finding]:
    """What is wrong with one MJML file; `whole` False for a part, which holds any number of elements."""
    reader = Reader(file, whole)
    try:
        return reader.read(source)
    except TooDeep:
        return [Finding(file, reader.parser.CurrentLineNumber, f"more than {DEEPEST} tags within each other")]
    except Doctype:
        return reader.findings


def hint(tag: str) -> str:
    close = get_close_matches(tag, MJML | HTML, n=1, cutoff=0.75)
    return f"; did you mean <{close[0]}>?" if close else ""


def expanded(source: str, parts: Mapping[str, str]) -> str:
    """The source with its `<mj-include path="parts/…"/>` put in; a KeyError names a part that is not there."""
    return INCLUDE.sub(lambda match: parts[match[1]], source)


def to_html(source: str, file: str) -> str | Finding:
    """HTML with the Jinja marks still in it: values are put in later, for each mail. No fonts are fetched.

    mrml writes one line of some 20 KB; RFC 5322 section 2.1.1 ends lines at 998 bytes: some attributes begin a new one.
    """
    try:
        html: str = mjml2html(source, fonts={})
    except ValueError as error:
        return Finding(file, 0, f"MJML says: {error}")
    return BREAKS.sub("\n", ROLELESS.sub('<table role="presentation"', html))
