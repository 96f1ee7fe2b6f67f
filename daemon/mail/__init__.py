"""The mails: templates, what goes into them, what comes out, and the header fields around it."""

from daemon.mail.context import Face, MailContext, MailLine, Reason, Rendered
from daemon.mail.errors import Finding, MailError, NothingToShow, TemplateError
from daemon.mail.headers import Errand, Sender, compose_mail, sender_findings
from daemon.mail.links import Link, Tracking
from daemon.mail.render import render
from daemon.mail.template import Template, load
from daemon.mail.trial import load_tried

__all__ = [
    "Errand",
    "Face",
    "Finding",
    "Link",
    "MailContext",
    "MailError",
    "MailLine",
    "NothingToShow",
    "Reason",
    "Rendered",
    "Sender",
    "Template",
    "TemplateError",
    "Tracking",
    "compose_mail",
    "load",
    "load_tried",
    "render",
    "sender_findings",
]
