"""From settings to open channels: one small function a channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import SecretStr, ValidationError

from channels.base import Channel
from daemon.embedded import keys
from daemon.errors import ConfigurationError
from daemon.settings import Settings


def open_channels(settings: Settings, data_dir: Path) -> dict[str, Channel]:
    """Those that are configured; a policy's step on another one waits, and `check` says so."""
    opened = {name: opener(settings, data_dir) for name, opener in OPENERS.items()}
    return {name: channel for name, channel in opened.items() if channel is not None}


def _email(settings: Settings, _: Path) -> Channel | None:
    if not settings.smtp_host:
        return None
    from channels.email import Config, Email  # noqa: PLC0415  slow to import, and not every command sends

    return Email(
        Config(
            host=settings.smtp_host,
            port=settings.smtp_port,
            tls=settings.smtp_tls,
            ca_file=settings.smtp_ca_file,
            username=settings.smtp_username,
            password=settings.smtp_password,
            helo=settings.smtp_helo,
            connections=settings.smtp_connections,
            to_dot=settings.smtp_to_dot,
            from_dot=settings.smtp_from_dot,
            dsn=settings.smtp_dsn,
        )
    )


def push_key(settings: Settings, data_dir: Path) -> str:
    """The private key of web pushes: of the settings, or, where the database is the embedded one, of the data folder.
    Empty: there is none. Several machines would each make their own."""
    if settings.push_private_key.get_secret_value() or settings.database_url.get_secret_value():
        return settings.push_private_key.get_secret_value()
    from channels.webpush_bytes import made_from  # noqa: PLC0415  as above

    return made_from(bytes.fromhex(keys.key(data_dir, "push")))


def push_contact(settings: Settings) -> str:
    """Where push services reach whoever sends; empty where that is not known."""
    base = settings.public_base_url
    return settings.push_contact or (base if base.startswith("https://") else "")


def _webpush(settings: Settings, data_dir: Path) -> Channel | None:
    contact = push_contact(settings)
    private = push_key(settings, data_dir) if contact else ""
    if not private:
        return None
    from channels.webpush import Config, WebPush  # noqa: PLC0415  as above

    try:
        return WebPush(Config(private_key=SecretStr(private), contact=contact, hosts=settings.push_hosts))
    except ValidationError:
        raise ConfigurationError(
            "TILLBELL_PUSH_PRIVATE_KEY: it is not such a key; hint: `tillbell push-keys` makes one"
        ) from None


def sms_is_configured(settings: Settings) -> bool:
    return bool(settings.twilio_account_sid and settings.twilio_auth_token.get_secret_value())


def _sms(settings: Settings, _: Path) -> Channel | None:
    if not sms_is_configured(settings):
        return None
    from channels.sms import Config, Sms  # noqa: PLC0415  as above

    try:
        return Sms(
            Config(
                account=settings.twilio_account_sid,
                token=settings.twilio_auth_token,
                key=settings.twilio_api_key,
                key_secret=settings.twilio_api_secret,
                sender=settings.twilio_from,
                base_url=settings.twilio_base_url,
                connections=settings.twilio_connections,
            )
        )
    except ValidationError as error:
        raise ConfigurationError(
            "\n".join(
                f"TILLBELL_TWILIO_…: {mistake['msg'].removeprefix('Value error, ')}" for mistake in error.errors()
            )
        ) from None


def _audience(_: Settings, __: Path) -> Channel | None:
    from channels.audience import Audience  # noqa: PLC0415

    return Audience()


def _onsite(_: Settings, __: Path) -> Channel | None:
    from channels.onsite import Onsite  # noqa: PLC0415

    return Onsite()


Opener = Callable[[Settings, Path], Channel | None]
"""The settings and the data folder, for keys that are made once and kept; None where the channel is not configured."""

OPENERS: Mapping[str, Opener] = {
    "audience": _audience,
    "email": _email,
    "onsite": _onsite,
    "sms": _sms,
    "webpush": _webpush,
}
