"""Carts and orders of an osCommerce-family shop, read from its MySQL or MariaDB database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from daemon.shops import oscommerce_health, oscommerce_orders, oscommerce_read
from daemon.shops.base import (
    Capability,
    CartBatch,
    CartSnapshot,
    Customer,
    Health,
    Line,
    OrderBatch,
    OrderSnapshot,
    Product,
    Shop,
)
from daemon.shops.dialects import DIALECTS, Dialect
from daemon.shops.oscommerce_catalogue import Catalogue, Languages, catalogue, languages
from daemon.shops.oscommerce_config import Config, access
from daemon.shops.oscommerce_db import Database
from daemon.shops.oscommerce_read import Key, Row, amount, key, path, text


class OsCommerce(Shop):
    """One connector for the family; what differs is in daemon/shops/dialects."""

    name = "oscommerce"
    config_model = Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.config: Config = config
        self.dialect: Dialect = DIALECTS[config.dialect]
        self.zone = ZoneInfo(config.timezone)
        self.clock_zone = self.zone if self.dialect.clock == "php" else UTC
        self.db = Database(self.dialect, config.table_prefix, config.patience, access(config))

    def __repr__(self) -> str:
        return f"OsCommerce({self.dialect.name})"

    @property
    def cart_page(self) -> str:
        """Address of the basket as shipped; whoever logs in there has the basket back."""
        return self.config.url + self.dialect.cart_page

    def capabilities(self) -> frozenset[Capability]:
        found = {
            Capability.CARTS_SNAPSHOT, Capability.FIND_ORDERS, Capability.CONSENT_EMAIL, Capability.PHONE,
            Capability.LINE_PRICES, Capability.STOCK, Capability.PRODUCTS, Capability.ONLINE_NOW,
        }  # fmt: skip
        found |= {Capability.SECOND_PRECISION} if self.dialect.baskets != "day" else set()
        found |= {Capability.CONSENT_EVIDENCE} if self.dialect.recipients in ("signed", "confirmed") else set()
        found |= {Capability.LOCALE} if "language_key" in self.dialect.parts else set()
        found |= {Capability.GUEST_CARTS} if self.dialect.guests else set()
        found |= {Capability.GROUPS} if self.dialect.groups else set()
        return frozenset(found)

    async def health(self, now: datetime) -> Health:
        return await oscommerce_health.examine(self.db, self.dialect, self.config, now)

    async def orders(self, cursor: str, limit: int, now: datetime) -> OrderBatch:  # noqa: ARG002
        start = oscommerce_orders.Cursor.load(cursor)
        rows, end, more = await oscommerce_orders.page(self.db, start, limit, self.config.language_id)
        read = {int(row["orders_id"]): self.order(row) for row in rows}
        refused = tuple(f"order {number}: it has no date of purchase" for number, order in read.items() if not order)
        return OrderBatch(tuple(order for order in read.values() if order), end.dump(), more, refused)

    async def find_orders(self, refs: Sequence[str], emails: Sequence[str], since: datetime) -> Sequence[OrderSnapshot]:
        people = [int(ref) for ref in refs if ref.isascii() and ref.isdigit() and len(ref) <= 10]
        addresses = sorted({email.strip().lower() for email in emails if email.strip()})
        if not people and not addresses:
            return ()
        hour_before = (since - timedelta(hours=1)).astimezone(self.clock_zone).replace(tzinfo=None)
        rows = await self.db.all(
            "orders_of", people=people, emails=addresses, since=hour_before, language=self.config.language_id
        )
        return [order for row in rows if (order := self.order(row)) and order.placed_at >= since]

    def order(self, row: Row) -> OrderSnapshot | None:
        """None for an order without a date."""
        placed_at = oscommerce_read.moment(row["ordered"], self.clock_zone)
        if placed_at is None:
            return None
        names = [name for raw in str(row["status_names"] or "").split("|") if (name := text(raw))]
        status_id = int(row["status_id"])
        rate = amount(row["currency_value"]) or Decimal(1)
        total = amount(row["total"]) * (rate if self.dialect.order_values == "base" else 1)
        return OrderSnapshot(
            ref=str(row["orders_id"]),
            placed_at=placed_at,
            status=names[0] if names else str(status_id),
            standing=oscommerce_read.standing(status_id, names, self.dialect.statuses, self.config.order_status),
            total=total.quantize(oscommerce_read.CENT),
            currency=text(row["currency"], 3).upper() or self.config.currency,
            customer_ref=str(row["customers_id"] or ""),
            email=text(row["email"]),
            phone=text(row["phone"], 64),
            coupon_codes=(code,) if (code := text(row["coupon"], 64)) else (),
        )

    async def carts(self, cursor: str, limit: int, now: datetime) -> CartBatch:
        owners = [
            int(row["customers_id"]) for row in await self.db.all("basket_owners", after=int(cursor or 0), limit=limit)
        ]
        if not owners:
            return CartBatch((), is_full_snapshot=True, observed_at=now)
        lines = defaultdict(list)
        for row in await self.db.all("basket_lines", people=owners):
            lines[int(row["customers_id"])].append(row)
        spoken = await languages(self.db, self.config.language_id)
        people = await self.people(owners, spoken)
        options = await self.basket_options(owners)
        keys = [found for rows in lines.values() for row in rows if (found := key(row["products_id"]))]
        shelf = await catalogue(self.db, keys, spoken.default, spoken.default, self.wall(now))
        clicks = {int(row["customer_id"]): seen(row["clicked"]) for row in await self.db.all("online", people=owners)}
        carts, refused = [], {}
        for owner, rows in lines.items():
            if why := unreadable(owner, rows, people):
                refused[str(owner)] = why
                continue
            read = tuple(self.line(row, options[owner, row["products_id"]], shelf) for row in rows)
            carts.append(self.cart(people[owner], rows, read, clicks.get(owner), now))
        more = len(owners) == limit
        return CartBatch(
            carts=tuple(carts),
            cursor=str(owners[-1]) if more else "",  # after the last page the next reading starts from nothing
            more=more,
            is_full_snapshot=True,
            observed_at=now,
            refused=tuple(refused.values()),
            refused_refs=tuple(refused),
        )

    def cart(
        self,
        customer: Customer,
        rows: Sequence[Row],
        lines: tuple[Line, ...],
        online_at: datetime | None,
        now: datetime,
    ) -> CartSnapshot:
        kind = self.dialect.baskets
        changed_at, precision = oscommerce_read.last_change((row["added"] for row in rows), kind, self.zone, now)
        return CartSnapshot(
            ref=customer.ref,
            customer=customer,
            lines=lines,
            currency=self.config.currency,
            total=sum((line.quantity * (line.unit_price or 0) for line in lines), Decimal(0)).quantize(
                oscommerce_read.CENT
            ),
            total_is_estimate=True,
            source_updated_at=changed_at,
            time_precision=precision,
            online_at=online_at,
        )

    def line(self, row: Row, options: Sequence[Row], shelf: Catalogue) -> Line:
        """One line; of a product that is gone only the key is left, and it is not in stock."""
        found = key(row["products_id"])
        assert found is not None
        quantity = amount(row["quantity"])
        product = shelf.products.get(found.product)
        if product is None:
            return Line(
                found.text, str(found.product), "", quantity, price_basis="catalogue_estimate",
                variant_ref=found.variant, in_stock=False,
            )  # fmt: skip
        combi = shelf.combis.get(found.combi)
        chosen = [(option_id(option["option_id"]), int(option["value_id"])) for option in options] or found.options
        words = [text(option["typed"]) or text(option["name"]) for option in options]
        words += [text(combi["name"])] if combi else []
        return Line(
            key=found.text,
            product_ref=str(found.product),
            name=text(product["name"]),
            quantity=quantity,
            unit_price=oscommerce_read.price(
                product, shelf.options(found.product, chosen), combi, self.config.tax_percent
            ),
            price_basis="catalogue_estimate",
            variant_ref=found.variant,
            sku=text(combi["model"] if combi and combi["model"] else product["model"], 64),
            options=", ".join(word for word in words if word)[:500],
            image_url=self.image(product),
            product_url=self.page(found),
            in_stock=self.available(product, combi),
        )

    async def people(self, owners: Sequence[int], known: Languages) -> dict[int, Customer]:
        rows = await self.db.all("customers", people=owners)
        spoken: dict[int, str] = {}
        if "language_key" in self.dialect.parts:
            last = await self.db.all("last_languages", people=owners)
            spoken = {int(row["customers_id"]): text(row["language"], 32) for row in last}
        recipients: dict[str, Row] = {}
        emails = [row["email"] for row in rows if row["email"]]
        if self.dialect.recipients != "none" and emails:
            others = [email for email in emails if not email.isascii()]
            plain = [email for email in emails if email.isascii()]
            found = await self.db.all("recipients", plain=plain, beyond=bool(others), others=others)
            recipients = {text(row["email"]).casefold(): row for row in found}
        people = {}
        for row in rows:
            number = int(row["customers_id"])
            recipient = recipients.get(text(row["email"]).casefold())
            people[number] = self.customer(row, known.code(spoken.get(number, "")), recipient)
        return people

    def customer(self, row: Row, locale: str, recipient: Row | None) -> Customer:
        return Customer(
            ref=str(row["customers_id"]),
            email=text(row["email"]),
            phone=text(row["phone"], 64),
            first_name=text(row["first_name"], 100),
            last_name=text(row["last_name"], 100),
            locale=locale,
            zone="",
            country=text(row["country"], 2).upper(),
            region=oscommerce_read.region(row["country"], row["state"]),
            group=text(row["grp"], 32),
            is_guest=bool(row["is_guest"]),
            may_be_written_to=not row["is_shut"],
            consents=oscommerce_read.consents(row["newsletter"], recipient, self.dialect.recipients, self.clock_zone),
        )

    async def basket_options(self, owners: Sequence[int]) -> Mapping[tuple[int, str], Sequence[Row]]:
        chosen = defaultdict(list)
        for row in await self.db.all("basket_options", people=owners, language=self.config.language_id):
            chosen[int(row["customers_id"]), row["products_id"]].append(row)
        return chosen

    def wall(self, now: datetime) -> datetime:
        """What the shop's clock shows."""
        return now.astimezone(self.zone).replace(tzinfo=None, microsecond=0)

    async def products(self, refs: Sequence[str], locale: str) -> Mapping[str, Product]:
        wanted = {ref: found for ref in refs if (found := key(ref))}
        if not wanted:
            return {}
        spoken = await languages(self.db, self.config.language_id)
        now = oscommerce_read.moment((await self.db.one("clock"))["at"], UTC)
        assert now is not None
        shelf = await catalogue(self.db, wanted.values(), spoken.id(locale), spoken.default, self.wall(now))
        return {
            ref: self.product(ref, found, shelf.products[found.product], shelf)
            for ref, found in wanted.items()
            if found.product in shelf.products and (not found.combi or found.combi in shelf.combis)
        }

    def product(self, ref: str, found: Key, product: Row, shelf: Catalogue) -> Product:
        """A digest does not tell its options: where they cost something, its price is not known."""
        combi = shelf.combis.get(found.combi)
        costs = any(amount(option["price"]) for option in shelf.attributes.get(found.product, ()))
        options = shelf.options(found.product, found.options)
        price = oscommerce_read.price(product, options, combi, self.config.tax_percent)
        return Product(
            ref=ref,
            name=text(product["name"]),
            active=bool(product["status"]),
            in_stock=self.available(product, combi),
            price=None if found.is_digest and costs else price,
            currency=self.config.currency,
            url=self.page(found),
            image_url=self.image(product),
        )

    def available(self, product: Row, combi: Row | None) -> bool:
        """Whether it can be bought now."""
        counts = self.config.stock == "counts"
        return bool(product["status"]) and (not counts or oscommerce_read.in_stock(product, combi))

    def page(self, found: Key) -> str:
        return self.config.url + self.dialect.product_page.format(id=found.product)

    def image(self, product: Row) -> str:
        name = text(product["image"])
        return self.config.url + path(self.dialect.images + name) if name else ""

    async def close(self) -> None:
        await self.db.close()


def seen(clicked: Any) -> datetime | None:
    """A moment from its seconds since 1970, kept as text."""
    return datetime.fromtimestamp(int(clicked), UTC) if str(clicked or "").isdigit() else None


def option_id(raw: Any) -> int:
    """Zen Cart marks a free text as `txt_5`."""
    digits = str(raw or "0").removeprefix("txt_")
    return int(digits) if digits.isdigit() else 0


def unreadable(owner: int, rows: Sequence[Row], people: Mapping[int, Customer]) -> str:
    """Why a basket cannot be read, nothing if it can."""
    if owner not in people:
        return f"cart {owner}: the customer has no row in customers"
    for row in rows:
        if key(row["products_id"]) is None:
            return f"cart {owner}: line {row['customers_basket_id']} names no product"
        if amount(row["quantity"]) <= 0:
            return f"cart {owner}: line {row['customers_basket_id']} has no quantity"
    return ""


SHOP = OsCommerce
