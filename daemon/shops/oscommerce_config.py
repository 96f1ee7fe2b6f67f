"""What shops.yaml says of an osCommerce-family shop."""

from __future__ import annotations

import difflib
import re
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator

from daemon.shops.base import ShopConfig
from daemon.shops.dialects import DIALECTS, Standing
from daemon.shops.oscommerce_db import tls

PREFIX = re.compile(r"[A-Za-z0-9_]{0,32}")


class Config(ShopConfig):
    """The section of an osCommerce-family shop in shops.yaml."""

    dialect: str = Field(description="Which shop it is: " + ", ".join(sorted(DIALECTS)) + ".")
    host: str = Field("127.0.0.1", description="Where the database answers.")
    port: int = Field(3306, ge=1, le=65535)
    unix_socket: str = Field("", description="A socket's path instead of host and port.")
    tls: bool = Field(False, description="Encrypt the connection and check the server's certificate.")
    tls_ca: str = Field("", description="File of the authority that signed that certificate, if it is your own.")
    database: str
    user: str
    password: SecretStr
    table_prefix: str = Field("", description="What every table of the shop begins with, as in zen_.")
    timezone: str = Field(description="The zone that the shop's PHP runs in, as in Europe/Berlin.")
    currency: str = Field(description="The currency of the shop's prices, as in EUR.", pattern=r"^[A-Z]{3}$")
    language_id: int = Field(1, description="Language of names for whom the shop knows no other (table languages).")
    url: str = Field(
        description="The shop's address with its folder, as in https://shop.example/.", pattern=r"^https?://\S+$"
    )
    order_status: dict[int | str, Standing] = Field(
        default_factory=dict, description="What a status means, by its number or name, where we guess wrong."
    )
    tax_percent: dict[int, Decimal] = Field(
        default_factory=dict, description="Tax to add to the catalogue's net prices, by products_tax_class_id."
    )
    stock: Literal["counts", "ignored"] = Field("counts", description="ignored: the shop sells what it has not got.")
    connect_within: float = Field(5.0, gt=0, le=60, description="Seconds to wait for a connection.")
    patience: float = Field(15.0, gt=0, le=300, description="Seconds that one query may take.")

    @field_validator("dialect")
    @classmethod
    def known_dialect(cls, word: str) -> str:
        if word in DIALECTS:
            return word
        near = difflib.get_close_matches(word, DIALECTS, 1)
        hint = f'; did you mean "{near[0]}"?' if near else f"; there are {', '.join(sorted(DIALECTS))}"
        raise ValueError(f'unknown dialect "{word}"{hint}')

    @field_validator("table_prefix")
    @classmethod
    def plain_prefix(cls, prefix: str) -> str:
        if PREFIX.fullmatch(prefix):
            return prefix
        raise ValueError("a table prefix has letters, digits and _ alone, at most 32")

    @field_validator("timezone")
    @classmethod
    def known_zone(cls, name: str) -> str:
        try:
            return ZoneInfo(name).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f'unknown timezone "{name}"; take a name like Europe/Berlin') from None

    @field_validator("order_status")
    @classmethod
    def folded(cls, told: dict[int | str, Standing]) -> dict[int | str, Standing]:
        return {word.casefold() if isinstance(word, str) else word: standing for word, standing in told.items()}

    @field_validator("url")
    @classmethod
    def folder(cls, url: str) -> str:
        return url.rstrip("/") + "/"


def access(config: Config) -> dict[str, Any]:
    """What the driver wants to know."""
    place = {"unix_socket": config.unix_socket} if config.unix_socket else {"host": config.host, "port": config.port}
    return {
        **place,
        "db": config.database,
        "user": config.user,
        "password": config.password.get_secret_value(),
        "connect_timeout": config.connect_within,
        "ssl": tls(config.tls_ca) if config.tls else None,
    }
