"""All that one mail is made of: plain values, gathered by `prepare`, nothing that could be called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from daemon.mail.links import Link

BasisKind = Literal["consent", "existing_customer", "none_required"]


@dataclass(frozen=True, slots=True)
class Face:
    """How the shop shows itself. Links in its mails lead to the host of `url`, to `hosts`, and below them only."""

    name: str
    url: str
    hosts: tuple[str, ...] = ()
    logo_url: str = ""
    accent: str = "#1f6f54"
    """Colour of buttons and links, as #rrggbb."""
    shipping_url: str = ""
    returns_url: str = ""


@dataclass(frozen=True, slots=True)
class MailLine:
    """One line of the cart as it stands now. Prices are in the cart's currency; None where the shop does not say."""

    name: str
    quantity: Decimal
    unit_price: Decimal | None = None
    options: str = ""
    image_url: str = ""
    url: str = ""
    in_stock: bool | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the person gets the mail: told in each (for existing customers § 7(3) no. 4 UWG asks for it)."""

    kind: BasisKind
    at: datetime | None = None
    """When the consent was confirmed or the order placed."""


@dataclass(frozen=True, slots=True)
class MailContext:
    """`imprint`: who sends this, as the law wants it, line by line; it must not be empty."""

    shop: Face
    imprint: tuple[str, ...]
    lines: tuple[MailLine, ...]
    currency: str
    cart_url: str
    """Puts the cart back, or the shop's cart page; one that is not on the shop's hosts is replaced by the shop's."""
    changed_at: datetime
    reason: Reason
    unsubscribe_url: str
    preferences_url: str = ""
    """Where the person chooses channels, how often, a pause and their language; empty: nowhere."""
    total: Decimal | None = None
    total_is_estimate: bool = False
    first_name: str = ""
    locale: str = ""
    shop_locale: str = "en"
    zone: str = "UTC"
    sold_out: Literal["mark", "leave_out"] = "mark"
    rehearsal: bool = False
    campaign: str = ""
    """UTM: the policy's name."""
    step: str = ""
    subjects: Mapping[str, str] = field(default_factory=dict)
    """The step's own subject by language (`de`; empty for all), in place of the template's."""
    most_lines: int = 8


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail's content. `links` belong into the link table before the mail leaves; none where links are plain."""

    subject: str
    html: str
    text: str
    links: tuple[Link, ...]
    language: str
    template: str
    digest: str

    @property
    def octets(self) -> int:
        """Of both texts, in UTF-8."""
        return len(self.html.encode()) + len(self.text.encode())

    def stored(self) -> Mapping[str, str]:
        """What `compose_mail` takes."""
        return {**self.told(), "html": self.html, "text": self.text}

    def told(self) -> Mapping[str, str]:
        """What `message.content` keeps: all but the two texts, which are kept packed."""
        return {"subject": self.subject, "language": self.language, "template": self.template, "digest": self.digest}
