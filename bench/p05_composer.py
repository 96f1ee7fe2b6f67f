"""P5: a rendered reminder becomes octets with our composer and with the standard library's; and what the sandbox costs.

CPU time of this process, the best of several rounds in turn: nothing waits here, and other people's load is left out.
"""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from datetime import UTC, datetime
from time import process_time

import jinja2

from bench.measured import Measured, Row
from bench.place import Place
from channels.address import one
from channels.base import Mail
from channels.compose import compose
from channels.letter import draft
from daemon.mail import load, markup, render, sandbox, template
from daemon.mail.render import valued
from daemon.mail.sample import sample, tracking

AT = datetime(2026, 3, 3, 11, 0, tzinfo=UTC)
ADA = one("ada@example.org")
SHIPPED = load()
FIELDS = (
    ("List-Unsubscribe", f"<https://t.shop.example/u/{'x' * 44}>"),
    ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ("List-Id", "<cart.main.shop.example>"),
    ("Feedback-ID", "remind:cart:main:tillbell"),
    ("X-Auto-Response-Suppress", "OOF, AutoReply"),
    ("Content-Language", "de"),
)


async def measure(place: Place, rounds: int = 3) -> Measured:  # noqa: ARG001 - needs no servers
    mail = reminder()
    if told(compose(mail, ADA, AT)) != told(draft(mail, ADA, AT).octets()):
        raise SystemExit("the two composers do not say the same")
    fenced, bare = renderings()
    spent = micros(
        {
            "library": lambda: compose(mail, ADA, AT),
            "ours": lambda: draft(mail, ADA, AT).octets(),
            "eight": lambda: draft(mail, ADA, AT).octets(eight_bit=True),
            "fenced": fenced,
            "bare": bare,
            "rendered": rendered,
        },
        rounds,
    )
    size = len(draft(mail, ADA, AT).octets()) / 1024
    rows = [
        Row("P5", f"the standard library's composer, {size:.0f} KiB", f"{spent['library']:.0f} µs CPU"),
        Row("P5", "ours, quoted-printable, to that", us(spent["ours"]), spent["library"] / spent["ours"], 10),
        Row("P5", "ours, 8 bit, to that", us(spent["eight"]), spent["library"] / spent["eight"]),
        Row(
            "P5", "the sandbox, to plain Jinja", us(spent["fenced"]), spent["fenced"] / spent["bare"], 1.2, at_most=True
        ),
        Row("P5", "a whole mail rendered, both parts", us(spent["rendered"])),
    ]
    return Measured(rows, {f"{name}_us": round(micro, 1) for name, micro in spent.items()})


def us(micro: float) -> str:
    return f"{micro:.0f} µs CPU"


def reminder() -> Mail:
    """The shipped reminder with five lines, tracked, in German."""
    mail = render(SHIPPED["remind"], sample("de", 5), tracking())
    return Mail(
        subject=mail.subject,
        text=mail.text,
        html=mail.html,
        sender="laden@shop.example",
        sender_name="Laden für Läufer",
        message_id="t.1.4711.0123456789ab@shop.example",
        envelope_sender="b+token@shop.example",
        headers=FIELDS,
    )


def rendered() -> None:
    render(SHIPPED["remind"], sample("de", 5), tracking())


def renderings() -> tuple[Callable[[], object], Callable[[], object]]:
    """The reminder as HTML by the daemon's sandbox and by a Jinja without a fence, from the same source and values."""
    sources, _ = template.gathered(None)
    mjml, _ = template.expanded("remind", sources)
    html = markup.to_html(mjml, "remind.mjml")
    if not isinstance(html, str):
        raise SystemExit(f"the reminder is no template: {html}")
    plain = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, cache_size=0)
    fenced, bare = sandbox.Sandbox(html=True).from_string(html), plain.from_string(html)
    _, _, values = valued(SHIPPED["remind"], sample("de", 5), tracking())
    if fenced.render(values) != bare.render(values):
        raise SystemExit("the sandbox changes what is rendered")
    return lambda: fenced.render(values), lambda: bare.render(values)


def told(octets: bytes) -> list[object]:
    """What a reader's program makes of a mail."""
    message = email.message_from_bytes(octets, policy=email.policy.SMTP)
    parts = [(part.get_content_type(), part.get_content()) for part in message.iter_parts()]
    return [[(name, str(value)) for name, value in message.items() if name != "Content-Type"], parts]


def micros(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """CPU microseconds of one call each: the best round, of some fifty milliseconds."""
    best: dict[str, float] = {}
    for _ in range(rounds * 3):
        for name, work in works.items():
            began, calls = process_time(), 0
            while process_time() - began < 0.05:
                work()
                calls += 1
            best[name] = min(best.get(name, 1e9), (process_time() - began) / calls * 1e6)
    return best
