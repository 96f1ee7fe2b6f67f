"""What can differ from one shop of the osCommerce family to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Standing = Literal["purchase", "pending", "on_hold", "failed", "cancelled"]

ALL: Mapping[str, tuple[str, ...]] = {
    "customers_basket": (
        "customers_basket_id", "customers_id", "products_id", "customers_basket_quantity", "customers_basket_date_added"
    ),
    "customers_basket_attributes": (
        "customers_basket_attributes_id", "customers_id", "products_id", "products_options_id",
        "products_options_value_id",
    ),
    "customers": (
        "customers_id", "customers_firstname", "customers_lastname", "customers_email_address",
        "customers_default_address_id", "customers_newsletter",
    ),
    "address_book": ("address_book_id", "customers_id", "entry_country_id", "entry_zone_id"),
    "countries": ("countries_id", "countries_iso_code_2"),
    "zones": ("zone_id", "zone_code"),
    "orders": (
        "orders_id", "customers_id", "customers_email_address", "customers_telephone", "date_purchased",
        "last_modified", "orders_status", "currency", "currency_value",
    ),
    "orders_total": ("orders_id", "value", "class"),
    "orders_status": ("orders_status_id", "language_id", "orders_status_name"),
    "orders_status_history": ("orders_status_history_id", "orders_id", "orders_status_id", "date_added"),
    "products": (
        "products_id", "products_quantity", "products_model", "products_image", "products_price", "products_status",
        "products_tax_class_id",
    ),
    "products_description": ("products_id", "language_id", "products_name"),
    "products_attributes": ("products_id", "options_id", "options_values_id", "options_values_price", "price_prefix"),
    "products_options_values": ("products_options_values_id", "language_id", "products_options_values_name"),
    "specials": ("products_id", "specials_new_products_price", "expires_date", "status"),
    "languages": ("languages_id", "code", "directory"),
    "whos_online": ("customer_id", "time_last_click"),
}  # fmt: skip
"""Table by table, the columns that every dialect reads: also the least that the shop's database has to grant."""

WORDS: tuple[tuple[str, Standing], ...] = (
    ("abandoned", "failed"), ("declined", "failed"), ("denied", "failed"), ("failed", "failed"),
    ("expired", "failed"), ("abgelehnt", "failed"), ("fehlgeschlagen", "failed"),
    ("cancel", "cancelled"), ("storn", "cancelled"), ("annul", "cancelled"), ("refunded", "cancelled"),
    ("voided", "cancelled"),
    ("on hold", "on_hold"), ("on-hold", "on_hold"), ("awaiting", "on_hold"), ("zahlung ausstehend", "on_hold"),
    ("warte auf", "on_hold"),
    ("preparing", "pending"), ("paypal processing", "pending"), ("not validated", "pending"),
    ("nicht bestätigt", "pending"), ("unbestätigt", "pending"), ("unconfirmed", "pending"),
)  # fmt: skip
"""What a status means by a part of its name, first hit counts. Any other order is a purchase: the first status of a
placed order, "Pending" or "Offen", is given to paid orders too."""


@dataclass(frozen=True, slots=True)
class Dialect:
    name: str
    """The word for `dialect:` in shops.yaml."""
    title: str
    baskets: Literal["day", "php", "utc"]
    """What a basket's date is: the day in the shop's PHP zone, its second there, or a TIMESTAMP."""
    clock: Literal["php", "server"]
    """Whose clock writes orders and other DATETIMEs: the shop sets its session to PHP's offset, or it leaves the
    database server's own."""
    options: Literal["braces", "md5", "combis"]
    """How a basket's products_id carries options: `2{1}1`, `2:md5` (they are in the attributes table alone), or
    braces and `5x36` for a combination."""
    order_values: Literal["base", "order"]
    """The currency of orders_total.value: the shop's own (to be multiplied by currency_value), or the order's."""
    images: str
    product_page: str
    cart_page: str
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Columns, and tables, beyond those that all have."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """What a named query leaves to the dialect, as an SQL expression; PARTS has the usual ones."""
    recipients: Literal["none", "status", "signed", "confirmed"] = "none"
    """What newsletter_recipients keeps: nothing, a status without evidence, the sign-up's date and address, or the
    confirmation's too."""
    statuses: Mapping[int, Standing] = field(default_factory=dict)
    """By number, where a shop ships a status whose name does not tell."""
    groups: bool = False
    guests: bool = False
    """Guests have a row in customers, hence baskets."""
    phone_in: str = "customers.customers_telephone"

    @property
    def tables(self) -> Mapping[str, tuple[str, ...]]:
        """Every column that is read, by table."""
        names = [*ALL, *(table for table in self.extra if table not in ALL)]
        return {table: (*ALL.get(table, ()), *self.extra.get(table, ())) for table in names}


PARTS: Mapping[str, str] = {
    "phone": "c.customers_telephone",
    "guest": "0",
    "shut": "0",
    "group": "''",
    "option_text": "''",
    "special_started": "1",
    "coupon": "''",
    "language_key": "''",
    "combis_rule": "NULL",
}
"""What a dialect says nothing else about."""
