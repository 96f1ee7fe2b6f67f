"""A pretend osCommerce-family shop on a real MariaDB: writes what the shop itself would write."""

import re
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

import aiomysql
import pytest

from daemon.shops.dialects import DIALECTS
from daemon.shops.oscommerce import SHOP
from daemon.shops.oscommerce_health import grants

SCHEMAS = Path(__file__).parent.parent / "schemas"
NOW = datetime(2026, 10, 17, 10, 0, tzinfo=UTC)
PHP = ZoneInfo("Europe/Berlin")
SERVER = ZoneInfo("America/New_York")
PASSWORD = "hunter2-of-the-shop"
STATUSES = {
    1: ("Pending", "Offen"),
    2: ("Processing", "In Bearbeitung"),
    3: ("Delivered", "Versendet"),
    4: ("Canceled", "Storniert"),
    5: ("On Hold", "Angehalten"),
    6: ("Preparing [PayPal Standard]", "PayPal begonnen"),
}


class Pretend:
    """One shop in a database of its own. Times are aware; they are written in whichever zone the shop would."""

    def __init__(self, server: Any, dialect: str, prefix: str = "") -> None:
        self.server = server
        self.socket = server.socket
        self.dialect = DIALECTS[dialect]
        self.prefix = prefix
        self.database = f"{prefix}{dialect}"
        self.account = f"till_{self.database}"
        self.written: set[str] = set()
        self.is_spoiled = False
        """True where more than rows was changed: nobody else gets this database."""
        self.shops: list[Any] = []
        self.columns: dict[str, set[str]] = {}

    async def __aenter__(self) -> Self:
        self.db = await aiomysql.connect(
            unix_socket=self.socket, user="root", charset="utf8mb4", autocommit=True,
            init_command="SET time_zone = '+00:00', sql_mode = ''",
        )  # fmt: skip
        if self.database not in self.server.databases:
            await self.build()
        self.server.databases.pop(self.database, None)
        await self.run(f"USE {self.database}")
        for table, column in await self.run(
            "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()"
        ):
            self.columns.setdefault(table.removeprefix(self.prefix), set()).add(column)
        await self.furnish()
        return self

    async def build(self) -> None:
        await self.run(f"CREATE DATABASE {self.database}")
        await self.run(f"USE {self.database}")
        schema = (SCHEMAS / f"{self.dialect.name}.sql").read_text()
        for statement in re.sub(r"\{(\w+)\}", lambda found: f"`{self.prefix}{found[1]}`", schema).split(";\n"):
            if statement.strip():
                await self.run(statement)
        await self.allow()

    async def __aexit__(self, *_: object) -> None:
        for shop in self.shops:
            await shop.close()
        if self.is_spoiled:
            await self.run(f"DROP DATABASE {self.database}")
            await self.run(f"DROP USER {self.account}@localhost")
        else:
            for table in sorted(self.written):
                await self.run(f"DELETE FROM `{self.prefix}{table}`")
            self.server.databases[self.database] = self.dialect.name
        await self.db.ensure_closed()

    async def run(self, statement: str, *values: Any) -> Any:
        """Like the shops' own code it does not care about the server's warnings."""
        async with self.db.cursor() as cursor:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                await cursor.execute(statement, values or None)
            return await cursor.fetchall() if cursor.description else cursor.lastrowid

    async def put(self, table: str, **row: Any) -> int:
        """A row, of the columns that this shop has."""
        self.written.add(table)
        kept = {column: value for column, value in row.items() if column in self.columns[table]}
        names, marks = ", ".join(kept), ", ".join(["%s"] * len(kept))
        return int(await self.run(f"INSERT INTO `{self.prefix}{table}` ({names}) VALUES ({marks})", *kept.values()))

    async def change(self, table: str, key: str, value: Any, **row: Any) -> None:
        sets = ", ".join(f"{column} = %s" for column in row)
        await self.run(f"UPDATE `{self.prefix}{table}` SET {sets} WHERE {key} = %s", *row.values(), value)

    async def delete(self, table: str, key: str, value: Any) -> None:
        await self.run(f"DELETE FROM `{self.prefix}{table}` WHERE {key} = %s", value)

    async def furnish(self) -> None:
        await self.put("languages", languages_id=1, name="English", code="en", directory="english")
        await self.put("languages", languages_id=2, name="Deutsch", code="de", directory="german")
        await self.put("countries", countries_id=81, countries_name="Germany", countries_iso_code_2="DE")
        for number, names in STATUSES.items():
            for language, name in enumerate(names, 1):
                await self.put("orders_status", orders_status_id=number, language_id=language, orders_status_name=name)

    async def allow(self) -> None:
        """An account with the least that the manual asks for."""
        account = f"{self.account}@localhost"
        await self.run(f"CREATE USER {account} IDENTIFIED BY '{PASSWORD}'")
        for statement in grants(self.dialect, self.prefix, self.database, account):
            await self.run(statement)

    def connector(self, **settings: Any) -> Any:
        told = {
            "dialect": self.dialect.name, "unix_socket": self.socket, "database": self.database, "user": self.account,
            "password": PASSWORD, "table_prefix": self.prefix, "timezone": "Europe/Berlin", "currency": "EUR",
            "url": "https://shop.example", "patience": 10, **settings,
        }  # fmt: skip
        shop = SHOP(SHOP.config_model.model_validate(told))
        self.shops.append(shop)
        return shop

    def stamp(self, at: datetime) -> str:
        """A DATETIME as this shop writes it: in PHP's zone where it sets its session so, else in the server's."""
        return f"{at.astimezone(PHP if self.dialect.clock == 'php' else SERVER):%Y-%m-%d %H:%M:%S}"

    def added(self, at: datetime) -> str:
        """A basket's date as this shop writes it."""
        if self.dialect.baskets == "day":
            return f"{at.astimezone(PHP):%Y%m%d}"
        return f"{at.astimezone(PHP if self.dialect.baskets == 'php' else UTC):%Y-%m-%d %H:%M:%S}"

    async def customer(self, email: str = "ada@example.org", phone: str = "", **row: Any) -> int:
        """An ordinary account."""
        number = await self.put(
            "customers", **{"customers_firstname": "Ada", "customers_lastname": "Byron", "customers_newsletter": "0",
            "customers_email_address": email, "customers_telephone": phone, "customers_password": "secret", **row},
        )  # fmt: skip
        home = await self.put("address_book", customers_id=number, entry_country_id=81, entry_telephone=phone)
        await self.change("customers", "customers_id", number, customers_default_address_id=home)
        return number

    async def product(self, name: str = "Kettle", price: str = "20.00", stock: Any = 5, **row: Any) -> int:
        number = await self.put(
            "products", **{"products_price": price, "products_quantity": stock, "products_status": 1,
            "products_model": "K-1", "products_image": "kettle.jpg", "products_tax_class_id": 0, **row},
        )  # fmt: skip
        for language, word in ((1, name), (2, f"{name} (de)")):
            await self.put("products_description", products_id=number, language_id=language, products_name=word)
        return number

    async def basket(
        self, customer: int, products_id: Any, quantity: Any = 1, at: datetime | None = NOW, **row: Any
    ) -> int:
        """A line of a basket; `at=None` writes no date."""
        when = {"customers_basket_date_added": self.added(at)} if at else {}
        return await self.put(
            "customers_basket", **{"customers_id": customer, "products_id": str(products_id),
            "customers_basket_quantity": quantity, **when, **row},
        )  # fmt: skip

    async def option(self, customer: int, products_id: str, option: Any, value: int, **row: Any) -> None:
        await self.put(
            "customers_basket_attributes", customers_id=customer, products_id=products_id, products_options_id=option,
            products_options_value_id=value, **{"products_options_value_text": "", **row},
        )  # fmt: skip

    async def order(
        self,
        customer: int = 0,
        email: str = "ada@example.org",
        total: str | None = "20.00",
        at: datetime = NOW,
        **row: Any,
    ) -> int:
        """An order as checkout writes it: the order, its history, its total."""
        number = await self.put(
            "orders", **{"customers_id": customer, "customers_email_address": email, "date_purchased": self.stamp(at),
            "orders_status": 1, "currency": "EUR", "currency_value": 1, **row},
        )  # fmt: skip
        await self.history(number, 1, at)
        if total is not None:
            await self.total(number, total)
        return number

    async def total(self, order: int, value: str) -> None:
        await self.put("orders_total", orders_id=order, value=value, **{"class": "ot_total"}, title="Total:")

    async def history(self, order: int, status: int, at: datetime = NOW) -> None:
        await self.put("orders_status_history", orders_id=order, orders_status_id=status, date_added=self.stamp(at))

    async def recipient(self, email: str, status: int, signed: datetime | None = None, **row: Any) -> None:
        """A row of the newsletter; times among the columns are aware."""
        written = {"date_added": signed, **row}
        kept = {
            column: self.stamp(value) if isinstance(value, datetime) else value
            for column, value in written.items()
            if value is not None
        }
        await self.put("newsletter_recipients", customers_email_address=email, mail_status=status, **kept)


class Stage:
    """What the contract asks of a stage, told by the pretend shop."""

    now = NOW
    secrets = (PASSWORD,)

    def __init__(self, shop: Pretend) -> None:
        self.shop = shop

    def connector(self) -> Any:
        return self.shop.connector()

    def deaf_connector(self) -> Any:
        return self.shop.connector(unix_socket=f"{self.shop.socket}-gone")

    async def put_product(self, name: str = "Kettle", price: Decimal = Decimal("20.00")) -> str:
        return str(await self.shop.product(name, str(price)))

    async def delete_product(self, ref: str) -> None:
        for table in ("products", "products_description"):
            await self.shop.delete(table, "products_id", ref)

    async def put_cart(self, email: str, product: str, quantity: int = 1, first_name: str = "Ada") -> str:
        customer = await self.shop.customer(email, customers_firstname=first_name)
        await self.shop.basket(customer, product, quantity, NOW - timedelta(hours=1))
        return str(customer)

    async def put_broken_cart(self) -> str:
        customer = await self.shop.customer("broken@example.org")
        await self.shop.basket(customer, "no product")
        return str(customer)

    async def place_order(self, customer_ref: str, email: str, total: Decimal, at: datetime) -> str:
        return str(await self.shop.order(int(customer_ref or 0), email, str(total), at))

    async def cancel_order(self, ref: str) -> None:
        await self.shop.change("orders", "orders_id", ref, orders_status=4)


@asynccontextmanager
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    async with Pretend(request.getfixturevalue("mariadb"), "modified") as shop:
        yield Stage(shop)
