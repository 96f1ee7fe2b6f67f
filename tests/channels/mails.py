"""A mail to compose, its reader and its time, and what a mail program makes of it."""

import email
import email.policy
from datetime import UTC, datetime

from channels.address import one
from channels.base import Mail

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
ADA = one("ada@example.org")


def mail(**changes):
    known = {
        "subject": "Ihr Warenkorb",
        "text": "Grüße\n",
        "html": "<p>Grüße</p>",
        "sender": "shop@shop.example",
        "sender_name": "Kiosk",
        "message_id": "1.abc@shop.example",
        "envelope_sender": "b@shop.example",
    }
    return Mail(**{**known, **changes})


def parsed(octets):
    return email.message_from_bytes(octets, policy=email.policy.SMTP)
