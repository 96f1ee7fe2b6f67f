"""A mail's values to look at: for `check`, `send-test` and the pictures in the docs. Nobody in it exists."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from daemon.mail.context import Face, MailContext, MailLine, Reason
from daemon.mail.links import Tracking

SHOP = "https://shop.example"
WARES = (
    ("Linen apron", "Leinenschürze", "Colour: sage", "Farbe: Salbei", "1", "39.90"),
    ("Enamel milk jug, 1 litre", "Milchkanne aus Emaille, 1 Liter", "", "", "2", "24.50"),
    ("Oak chopping board", "Schneidebrett aus Eiche", "40 × 25 cm", "40 × 25 cm", "1", "54.00"),
    ("Beeswax candle", "Bienenwachskerze", "Height: 12 cm", "Höhe: 12 cm", "4", "6.80"),
    ("Cotton ribbon", "Baumwollband", "sold by the metre", "Meterware", "2.5", "3.20"),
    ("Stoneware bowl", "Steingutschale", "Size: M", "Größe: M", "1", "18.00"),
    ("Copper kettle", "Wasserkessel aus Kupfer", "", "", "1", "119.00"),
    ("Wool blanket", "Wolldecke", "Colour: oat", "Farbe: Hafer", "1", "149.00"),
    ("Brass hook", "Messinghaken", "", "", "3", "7.40"),
    ("Jute doormat", "Fußmatte aus Jute", "60 × 40 cm", "60 × 40 cm", "1", "22.00"),
    ("Glass carafe", "Karaffe aus Glas", "", "", "1", "27.50"),
    ("Cedar shoe trees", "Schuhspanner aus Zeder", "Size: 42/43", "Größe: 42/43", "1", "34.90"),
)
AT = datetime(2026, 3, 14, 18, 5, tzinfo=UTC)


def sample(locale: str = "en", lines: int = 3, *, rehearsal: bool = False) -> MailContext:
    """A cart of 1 to 12 lines, in German for a German locale, else in English."""
    german = locale.startswith("de")
    wares = [ware(number, german=german) for number in range(lines)]
    return MailContext(
        shop=Face("Lindenhof", SHOP, shipping_url=f"{SHOP}/shipping", returns_url=f"{SHOP}/returns"),
        imprint=(
            "Lindenhof Handels GmbH",
            "Lindenstraße 12, 10969 Berlin",
            "Telefon +49 30 5550100, hallo@shop.example",
        ),
        lines=tuple(wares),
        currency="EUR",
        cart_url=f"{SHOP}/cart",
        changed_at=AT,
        reason=Reason("existing_customer", datetime(2025, 11, 3, 9, 0, tzinfo=UTC)),
        unsubscribe_url="https://tillbell.example/u/sample",
        preferences_url="https://tillbell.example/p/sample",
        total=sum((line.quantity * (line.unit_price or 0) for line in wares), Decimal()),
        first_name="Ada",
        locale=locale,
        zone="Europe/Berlin",
        rehearsal=rehearsal,
        campaign="main",
        step="remind",
    )


def ware(number: int, *, german: bool) -> MailLine:
    english, deutsch, options, optionen, quantity, price = WARES[number % len(WARES)]
    return MailLine(
        name=deutsch if german else english,
        options=optionen if german else options,
        quantity=Decimal(quantity),
        unit_price=Decimal(price),
        image_url=f"{SHOP}/images/{number}.png",
        url=f"{SHOP}/product/{number}",
        in_stock=number != 5,
    )


def tracking() -> Tracking:
    return Tracking(lambda no: f"https://tillbell.example/c/sample-{no}", "https://tillbell.example/o/sample.gif")
