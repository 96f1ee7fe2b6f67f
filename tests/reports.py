"""Thirty reports and a reply as they come by mail, about whichever message a test names."""

from __future__ import annotations

from pathlib import Path

from daemon.context import Context
from daemon.mail.headers import Errand, message_id
from daemon.tokens import Token, make_local_part

SAMPLES = Path(__file__).parent / "daemon" / "post" / "samples"
NAMES = sorted(path.stem for path in SAMPLES.glob("*.eml"))
HUGE = ("x" * 76 + "\n") * (10 * 1024 * 1024 // 77)
FORGED = "b+aeaqaaaaaeaaaaaaaauq7777aaaaaaaaaaaaaaaaaaaaaaaaaaaa@bounces.shop.example"


def report(name: str, verp: str, named: str) -> bytes:
    """The sample with the envelope sender and the Message-ID of the mail that it is about, in CRLF lines."""
    text = (SAMPLES / f"{name}.eml").read_text("utf-8")
    for word, value in {"VERP": verp, "MESSAGE_ID": named, "FORGED": FORGED, "HUGE": HUGE}.items():
        text = text.replace(f"{{{word}}}", value)
    return text.replace("\n", "\r\n").encode()


def verp(context: Context, shop_id: int, number: int) -> str:
    """The envelope sender of a message."""
    return f"b+{make_local_part(context.secrets, Token('bounce', shop_id, number))}@bounces.shop.example"


def id_of(context: Context, shop_id: int, number: int) -> str:
    """The Message-ID of a message."""
    return message_id(Errand(shop_id, number, "", "", "", "", ""), "shop.example", context.pepper)


def report_on(context: Context, name: str, shop_id: int, number: int) -> bytes:
    return report(name, verp(context, shop_id, number), id_of(context, shop_id, number))
