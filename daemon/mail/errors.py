"""What can be wrong with a mail: its template, or what is to be put into it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

NO_IMPRINT = "the sender has no imprint: name, postal address and how to reach you are required by law"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One mistake in a template or word file, with its address and, where there is one, a hint."""

    file: str
    line: int
    says: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.says}" if self.line else f"{self.file}: {self.says}"


class TemplateError(Exception):
    """Templates that cannot be used as they stand: one line for each mistake."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = tuple(sorted(set(findings)))
        super().__init__("\n".join(str(finding) for finding in self.findings))


class MailError(Exception):
    """This mail must not be made: something is missing that it has to carry, or it would grow without measure."""


class NothingToShow(MailError):
    """No line of the cart is left to show: the recovery has lost its object."""


def named(path: Path) -> str:
    """How a file is called in findings: its folder and its name."""
    return f"{path.parent.name}/{path.name}"
