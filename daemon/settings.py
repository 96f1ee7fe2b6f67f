"""All settings, each once: an environment variable TILLBELL_NAME, or TILLBELL_NAME_FILE with the value in a file."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pytimeparse.timeparse import timeparse as parse_span

from daemon.errors import ConfigurationError
from daemon.rates import DomainRate, Rate, read_domain_rates, read_rate

PREFIX = "TILLBELL_"
SCHEMES = {"database_url": ("postgresql", "postgres"), "redis_url": ("redis", "rediss", "unix")}
UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
NOT_SETTINGS = frozenset(f"TILLBELL_TEST_{name}" for name in ("DATABASE_URL", "REDIS_URL", "ON_SERVERS"))


class Settings(BaseSettings):
    """What an operator can set without a rule file."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, validate_default=True)

    database_url: SecretStr = Field(
        SecretStr(""), description="PostgreSQL (15 or newer) to keep everything in. Empty: start the embedded one."
    )
    redis_url: SecretStr = Field(
        SecretStr(""), description="Valkey or Redis (7.0 or newer) to ring the bell. Empty: start the embedded one."
    )
    data_dir: Path | None = Field(
        None,
        description="Folder of the embedded servers, the keys and the hit journal: a volume in a container. "
        "Empty: /var/lib/tillbell for root, the XDG data folder for others.",
    )
    rules_dir: Path = Field(
        Path("rules.d"), description="Folder of the policies, with shops.yaml and templates/ in it."
    )
    public_base_url: str = Field(
        "", description="Address of the public paths as seen from outside, such as https://t.shop.example."
    )
    listen: str = Field("127.0.0.1:8080", description="Host and port of the public paths: /o /c /s /u /hooks.")
    private_listen: str = Field(
        "127.0.0.1:8081", description="Host and port of the private paths: /healthz /readyz /metrics."
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = Field(
        (), description="Networks whose X-Forwarded-For is believed, separated by commas."
    )
    secret: SecretStr = Field(
        SecretStr(""),
        description="Key that signs links, 32 characters or more; `2:new,1:old` while it changes: the first one signs. "
        "Empty: made once and kept in the data folder.",
    )
    pepper: SecretStr = Field(
        SecretStr(""),
        description="Key of the hashed addresses that are not written to, 32 characters or more. It never changes. "
        "Empty: made once and kept in the data folder.",
    )
    poll_every: timedelta = Field(timedelta(seconds=60), description="Time between two looks at a shop, in shop time.")
    smtp_host: str = Field("", description="SMTP relay. Empty: nothing can be sent by e-mail.")
    smtp_port: int = Field(587, ge=1, le=65535, description="Port of the relay.")
    smtp_tls: Literal["none", "starttls", "implicit"] = Field("starttls", description="How the relay is spoken to.")
    smtp_username: str = Field("", description="User name at the relay. Empty: no log-in.")
    smtp_password: SecretStr = Field(SecretStr(""), description="Password at the relay.")
    smtp_connections: int = Field(10, ge=1, le=200, description="Connections to the relay, per worker.")
    smtp_rate: Rate | None = Field(
        None,
        description="What the relay allows, such as 500/s, 90/m or 1000/h: never exceeded in any second, by all "
        "workers of all shops together. Empty: no limit.",
    )
    smtp_per_day: int = Field(
        0, ge=0, le=10**9, description="Most mails within any 24 hours, over all shops. 0: no limit."
    )
    smtp_domain_rates: tuple[DomainRate, ...] = Field(
        (),
        description="Rates of single providers of mailboxes, separated by commas, such as "
        "gmail.com+googlemail.com=20/s,*=5/s; domains joined by + count together, * is each other domain by itself.",
    )
    smtp_helo: str = Field("", description="Name said in EHLO. Empty: this host's.")
    smtp_ca_file: Path | None = Field(None, description="Certificates to trust for the relay. Empty: the system's.")
    dkim_selectors: tuple[str, ...] = Field(
        (),
        description="Selectors that the relay signs with, separated by commas, for `tillbell doctor`: `s1`, or "
        "`s1@mail.shop.example` where it signs as another domain than the sender's. They stand in the DKIM-Signature "
        "of a mail that was received, as s= and d=.",
    )
    smtp_to_dot: timedelta = Field(
        timedelta(seconds=30),
        description="From the claim to a mail's final dot; after that it is called back. No mail is handed over later "
        "than this after a purchase.",
    )
    smtp_from_dot: timedelta = Field(
        timedelta(seconds=600),
        description="How long the relay may take to answer the final dot (RFC 5321 asks for ten minutes); a mail "
        "without an answer is never sent again by itself.",
    )
    smtp_dsn: Literal["never", "failure", "always"] = Field(
        "failure",
        description="Delivery reports that are asked of a relay that gives them (RFC 3461). always: also of what "
        "arrived, which settles mails whose fate is unknown and doubles what comes back.",
    )
    twilio_account_sid: str = Field("", description="Account at Twilio (AC…). Empty: nothing can be sent by SMS.")
    twilio_auth_token: SecretStr = Field(
        SecretStr(""),
        description="Its auth token: Twilio signs with it what it tells us, so it is needed beside an API key, too.",
    )
    twilio_api_key: str = Field("", description="API key (SK…) to log in with. Empty: the account and its token.")
    twilio_api_secret: SecretStr = Field(SecretStr(""), description="Secret of the API key.")
    twilio_from: str = Field(
        "",
        description="What texts come from where a shop says nothing else: a number (+49…), a Messaging Service (MG…), "
        "a WhatsApp sender (whatsapp:+49…) or a name of at most eleven letters.",
    )
    twilio_base_url: str = Field(
        "https://api.twilio.com", description="Address of Twilio's API; another one for trials."
    )
    twilio_connections: int = Field(10, ge=1, le=200, description="Connections to Twilio, per worker.")
    sms_valid_for: timedelta = Field(
        timedelta(minutes=10),
        ge=timedelta(minutes=1),
        le=timedelta(hours=10),
        description="How long a text may wait at Twilio before it is dropped there; never into quiet hours, nor beyond "
        "its step's time.",
    )
    lmtp_listen: str = Field(
        "",
        description="Host and port where reports and replies are taken from a mail server (LMTP or SMTP, without a "
        "log-in: for this machine or a closed network), such as 127.0.0.1:2424. Empty: nowhere.",
    )
    push_private_key: SecretStr = Field(
        SecretStr(""),
        description="Key that signs web pushes, from `tillbell push-keys`; browsers subscribe to it, so with another "
        "one they have to subscribe anew. Empty: with the embedded PostgreSQL made once and kept in the data folder, "
        "else there are no pushes.",
    )
    push_contact: str = Field(
        "",
        description="Where the makers of browsers reach you about your web pushes: mailto:you@shop.example, or an "
        "https address. Empty: TILLBELL_PUBLIC_BASE_URL.",
    )
    push_hosts: tuple[str, ...] = Field(
        (),
        description="Further push services, separated by commas, beside those of Chrome, Firefox, Edge and Safari: "
        "push.example, *.push.example, or a whole origin such as https://push.example:8443, which may lie in your own "
        "network.",
    )
    least_disk: int = Field(
        512,
        ge=0,
        description="Megabytes that must be free in the data folder: with less nothing is claimed until there is room.",
    )
    clock: Literal["real", "stepped"] = Field(
        "real",
        description="stepped: shop time stands still and is moved by POST /clock on the private listener; only for "
        "the demo and for trials.",
    )
    seed: str = Field("", description="With a stepped clock: makes who is held out repeatable.")
    metrics_token: SecretStr = Field(SecretStr(""), description="Bearer token that /metrics asks for. Empty: none.")
    alarm_after: timedelta = Field(
        timedelta(minutes=10),
        description="Dead man's switch: how long carts may be due with nothing going out before it is an alarm.",
    )
    ping_url: SecretStr = Field(
        SecretStr(""),
        description="Address that is asked (GET) each minute while all is well, so that a watch such as healthchecks "
        "raises the alarm when we fall silent. Empty: none.",
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: console on a terminal, else json."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    drain: timedelta = Field(
        timedelta(seconds=25), description="How long what is under way may take to end after SIGTERM."
    )
    keep_hits: timedelta = Field(
        timedelta(days=30),
        description="How long raw hits are kept. Then it stays known that there was one, but not by what program, from "
        "where or how often.",
    )
    keep_content: timedelta = Field(timedelta(days=90), description="How long the text of a sent message is kept.")

    keep_browsers: timedelta = Field(
        timedelta(days=400),
        description="How long a browser that takes web pushes, or is known on the shop's pages, is kept after it was "
        "last seen.",
    )
    keep_events: timedelta = Field(
        timedelta(days=30),
        ge=timedelta(days=7),
        description="How long an event that a shop pushed is kept as it came, once it is worked off; 7d or more, as an "
        "event that is sent again within this time is known to be the same.",
    )

    @field_validator(
        *("poll_every", "smtp_to_dot", "smtp_from_dot", "alarm_after", "drain"),
        "sms_valid_for",
        *("keep_hits", "keep_content", "keep_events", "keep_browsers"),
        mode="before",
    )
    @classmethod
    def _span(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        seconds = parse_span(value)
        if seconds is None or seconds <= 0 or value.strip().replace(".", "").isdigit():
            raise ValueError(f"{value!r} is no span of time; write it with its unit, such as 90s, 5m or 3d")
        return timedelta(seconds=seconds)

    @field_validator("trusted_proxies", "dkim_selectors", "push_hosts", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("smtp_rate", mode="before")
    @classmethod
    def _rate(cls, value: object) -> object:
        return (read_rate(value) if value.strip() else None) if isinstance(value, str) else value

    @field_validator("smtp_domain_rates", mode="before")
    @classmethod
    def _domain_rates(cls, value: object) -> object:
        return read_domain_rates(value) if isinstance(value, str) else value

    @field_validator("database_url", "redis_url")
    @classmethod
    def _address(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        """Only what can be said without repeating it: there may be a password in it."""
        scheme, _, rest = value.get_secret_value().partition("://")
        schemes = SCHEMES[str(info.field_name)]
        if scheme and scheme not in schemes:
            raise ValueError(f"must begin with {schemes[0]}://")
        hosts = re.split(r"[/?]", rest, maxsplit=1)[0].rpartition("@")[2].split(",")
        if any(port and not port.isdigit() for port in (re.sub(r"^(\[.*\]|[^:]*):?", "", host) for host in hosts)):
            raise ValueError(f"its port is no number; it is written {schemes[0]}://user:password@host:port/name")
        return value

    @field_validator("listen", "private_listen", "lmtp_listen")
    @classmethod
    def _place(cls, value: str, info: ValidationInfo) -> str:
        port = value.rpartition(":")[2] if ":" in value else ""
        if not ((port.isdigit() and int(port) <= 65535) or (not value and info.field_name == "lmtp_listen")):
            raise ValueError(f"{value!r} is not host:port, such as 127.0.0.1:8080")
        return value

    @field_validator("push_hosts")
    @classmethod
    def _push_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value:
            from channels.outbound import allowed  # noqa: PLC0415  slow to import, and few name any

            allowed(value)
        return value

    @field_validator("push_contact")
    @classmethod
    def _contact(cls, value: str) -> str:
        if value and not value.startswith(("mailto:", "https://")):
            raise ValueError(f"{value!r} must begin with mailto: or https://")
        return value

    @field_validator("public_base_url")
    @classmethod
    def _no_slash(cls, value: str) -> str:
        if value and not value.startswith(("https://", "http://")):
            raise ValueError("must begin with https://")
        return value.rstrip("/")

    @field_validator("ping_url")
    @classmethod
    def _ping(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and not value.get_secret_value().startswith(("https://", "http://")):
            raise ValueError("must begin with https://")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Values only from `read`: it has looked at every name first."""
        return (init_settings,)


def read(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this environment. Raises ConfigurationError with one line for each mistake."""
    env = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    mistakes: list[str] = []
    for name in sorted(env):
        if not name.startswith(PREFIX) or name in NOT_SETTINGS:
            continue
        field, value = _value(name, env[name], mistakes)
        if field in values:
            mistakes.append(f"{PREFIX}{field.upper()} is set twice: directly and by file")
        if field:
            values[field] = value
    if not mistakes:
        try:
            return Settings(**values)
        except ValidationError as error:
            mistakes += [_sentence(str(e["loc"][0]) if e["loc"] else "", e["msg"]) for e in error.errors()]
    raise ConfigurationError("\n".join(mistakes))


def written(value: object) -> str:
    """As one would set it; a secret masked."""
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        fits = [f"{seconds / size:g}{unit}" for unit, size in UNITS.items() if seconds % size == 0]
        return fits[0] if fits else f"{seconds:g}s"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "" if value is None else str(value)


def _value(name: str, value: str, mistakes: list[str]) -> tuple[str, str]:
    field = name.removeprefix(PREFIX).lower()
    if field in Settings.model_fields:
        return field, value
    if field.endswith("_file") and field.removesuffix("_file") in Settings.model_fields:
        try:
            return field.removesuffix("_file"), Path(value).read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            mistakes.append(f"{name}: {error.strerror or error}: {value}")
        except UnicodeDecodeError:
            mistakes.append(f"{name}: it is not UTF-8: {value}")
        return "", ""
    near = difflib.get_close_matches(field, Settings.model_fields, n=1, cutoff=0.7)
    mistakes.append(f"unknown setting {name}" + (f"; did you mean {PREFIX}{near[0].upper()}?" if near else ""))
    return "", ""


def _sentence(field: str, message: str) -> str:
    return f"{PREFIX}{field.upper()}: {message.removeprefix('Value error, ')}"
