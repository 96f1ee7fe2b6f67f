"""Templates, compiled once: MJML to HTML, HTML and text to Jinja, and for each language the words they say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

import jinja2

import rules
from daemon.mail import markup, sandbox, words
from daemon.mail.errors import Finding, TemplateError, named
from daemon.mail.words import Word, candidates

SHIPPED = Path(rules.__file__).parent / "templates"
HTML, TEXT = sandbox.Sandbox(html=True), sandbox.Sandbox(html=False)
COMMON = "common"
ALWAYS = (
    "subject", "preheader", "rehearsal_mark", "reason_consent", "reason_consent_undated", "reason_existing_customer",
    "reason_existing_customer_undated", "reason_none_required", "objection_consent", "objection_existing_customer",
    "objection_none_required",
)  # fmt: skip
"""Words that are said outside of the templates."""

NEEDED = ("cart.url", "imprint", "mail.objection", "mail.reason", "mail.rehearsal", "mail.unsubscribe_url")
"""What the law or the reader needs in either part of a mail (for `mail.rehearsal`: who looks at one)."""

Voice = Mapping[str, Word]


@dataclass(frozen=True, slots=True)
class Template:
    """One mail's looks and, by language tag, its words. `digest` names exactly this content."""

    name: str
    digest: str
    html: jinja2.Template
    text: jinja2.Template
    voices: Mapping[str, Voice]
    shows: frozenset[str]
    """The values that it prints, as `shop.returns_url`: links that it does not show need no number."""

    def voice(self, locale: str, shop_locale: str) -> tuple[str, Voice]:
        """Language tag and words for a person: locale, its language, the shop's, English, whatever there is."""
        for tag in (*candidates(locale, shop_locale), *sorted(self.voices)):
            if tag in self.voices:
                return tag, self.voices[tag]
        raise KeyError(self.name)


@dataclass(frozen=True, slots=True)
class Sources:
    """The files as read: by name within the folder. `own` are those that an operator brought."""

    files: Mapping[str, str]
    called: Mapping[str, str]
    """What a file is called in findings."""
    own: frozenset[str]

    def names(self) -> list[str]:
        return sorted(name.removesuffix(".mjml") for name in self.files if name.endswith(".mjml") and "/" not in name)


def load(own: Path | None = None) -> dict[str, Template]:
    """Every template by its name. Files in `own` stand in for shipped ones of the same name, words one by one.
    Raises `TemplateError` with every mistake. Takes some 30 ms a template; what has not changed is not compiled again.
    """
    sources, languages = gathered(own)
    findings: list[Finding] = []
    templates = {}
    for name in sources.names():
        try:
            templates[name] = made(name, sources, languages)
        except TemplateError as error:
            findings += error.findings
    if findings:
        raise TemplateError(findings)
    return templates


def gathered(own: Path | None) -> tuple[Sources, Mapping[str, words.Language]]:
    folders = [folder for folder in (SHIPPED, own) if folder is not None and folder.is_dir()]
    return read(folders), words.load_words(folders)


def read(folders: list[Path]) -> Sources:
    files: dict[str, str] = {}
    called: dict[str, str] = {}
    own: set[str] = set()
    for folder in folders:
        for path in sorted((*folder.glob("*.mjml"), *folder.glob("*.txt"), *folder.glob("parts/*.*"))):
            name = path.relative_to(folder).as_posix()
            files[name], called[name] = content(path), named(path)
            if folder != SHIPPED:
                own.add(name)
    return Sources(files, called, frozenset(own))


def content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError([Finding(named(path), 0, f"cannot be read: {error}")]) from error


def made(name: str, sources: Sources, languages: Mapping[str, words.Language]) -> Template:
    """Checked, compiled, and with the words of each language that has any for it."""
    findings: list[Finding] = []
    said: dict[str, tuple[str, int]] = {}
    shows: set[str] = set()
    for file in involved(name, sources, findings):
        look = sandbox.look_at(sources.files[file], sources.called[file])
        findings += [*in_markup(file, sources), *look.findings]
        shows |= look.values
        said |= {word: (look.file, line) for word, line in look.words.items() if word not in said}
    if findings:
        raise TemplateError(findings)
    mjml, text = expanded(name, sources)
    voices = voices_of(name, languages, said)
    html, plain = compiled(mjml, text, sources.called[f"{name}.mjml"])
    return Template(name, digest(mjml, text, voices), html, plain, voices, frozenset(shows))


def expanded(name: str, sources: Sources) -> tuple[str, str]:
    """MJML and text with their parts put in, looked at once more as a whole: parts add up."""
    parts = {file: source for file, source in sources.files.items() if "/" in file}
    mjml = markup.expanded(sources.files[f"{name}.mjml"], parts)
    text = sandbox.expanded(sources.files[f"{name}.txt"], parts)
    called = (sources.called[f"{name}.mjml"], sources.called[f"{name}.mjml"].replace(".mjml", ".txt"))
    findings = []
    for source, file in zip((mjml, text), called, strict=True):
        look = sandbox.look_at(source, file, whole=True)
        findings += look.findings
        findings += [Finding(file, 0, f"does not show {value}") for value in NEEDED if value not in look.values]
    if "<mj-include" in mjml:
        findings.append(Finding(called[0], 0, 'write it as <mj-include path="parts/NAME.mjml" />'))
    if findings:
        raise TemplateError(findings)
    return mjml, text


def involved(name: str, sources: Sources, findings: list[Finding]) -> Iterator[str]:
    """The template's two files and the parts they take in."""
    for file, pattern in ((f"{name}.mjml", markup.INCLUDE), (f"{name}.txt", sandbox.INCLUDE)):
        source = sources.files.get(file)
        if source is None:
            findings.append(
                Finding(
                    sources.called[f"{name}.mjml"],
                    0,
                    f"there is no {file} beside it; begin with a copy of the shipped remind.txt",
                )
            )
            continue
        yield file
        for number, line in enumerate(source.splitlines(), start=1):
            for part in pattern.findall(line):
                if part in sources.files:
                    yield part
                else:
                    findings.append(Finding(sources.called[file], number, f"there is no {part}"))


def in_markup(file: str, sources: Sources) -> list[Finding]:
    source, called, is_part = sources.files[file], sources.called[file], "/" in file
    findings = markup.mistakes(source, called, whole=not is_part) if file.endswith(".mjml") else []
    if is_part and ("<mj-include" in source or sandbox.INCLUDE.search(source)):
        findings.append(Finding(called, 0, "a part takes in no other part"))
    return findings


@lru_cache(maxsize=64)
def compiled(mjml: str, text: str, called: str) -> tuple[jinja2.Template, jinja2.Template]:
    html = markup.to_html(mjml, called)
    if isinstance(html, Finding):
        raise TemplateError([html])
    try:
        return HTML.from_string(html), TEXT.from_string(text)
    except (jinja2.TemplateError, SyntaxError, RecursionError, MemoryError) as error:
        raise TemplateError([Finding(called, 0, f"cannot be compiled: {error}")]) from error


def voices_of(
    name: str, languages: Mapping[str, words.Language], said: Mapping[str, tuple[str, int]]
) -> dict[str, Voice]:
    """Complete ones only: a language that begins to speak in a template must have every word of it."""
    findings: list[Finding] = []
    voices: dict[str, Voice] = {}
    for tag, language in languages.items():
        if name not in language:
            continue
        whole = {**language.get(COMMON, {}), **language[name]}
        for word in (*said, *ALWAYS):
            if word not in whole:
                file, line = said.get(word, (f"words.{tag}.yaml", 0))
                findings.append(Finding(file, line, f'words.{tag}.yaml has no word "{word}" for {name}'))
        voices[tag] = {word: whole[word] for word in sorted({*said, *ALWAYS}) if word in whole}
    if not voices:
        findings.append(Finding(f"{name}.mjml", 0, f"no words.<language>.yaml has a section {name}"))
    if findings:
        raise TemplateError(findings)
    return voices


def digest(mjml: str, text: str, voices: Mapping[str, Voice]) -> str:
    spoken = [(tag, word, sorted(said.forms.items()), said.by) for tag, voice in sorted(voices.items())
              for word, said in voice.items()]  # fmt: skip
    return blake2b(repr((mjml, text, spoken)).encode(), digest_size=8).hexdigest()
