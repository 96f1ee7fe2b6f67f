"""Audiences as files: who comes in, who goes out, as CSV in a platform's own form, in a folder or an object store."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from channels.ads import google, meta
from channels.ads.base import Keys, Part, Platform, Reach, Taken, sha256
from channels.base import Misconfigured, Unclear

PATIENCE = 30.0
STORES = ("s3://", "gs://", "az://")


@dataclass(frozen=True, slots=True)
class Form:
    """How a platform wants its file: heading by its word for a key."""

    headings: Mapping[str, str]
    email: Callable[[str], str]
    phone: Callable[[str], str]

    def keys(self, reach: Reach) -> Keys:
        email, phone = self.headings
        found = {email: self.email(reach.email), phone: self.phone(reach.phone)}
        return {word: sha256(text) for word, text in found.items() if text}

    def write(self, people: Sequence[Keys]) -> str:
        """RFC 4180, hashes only: nothing in it can be taken for a formula, so nothing is put in front of a cell."""
        out = io.StringIO()
        rows = csv.writer(out, lineterminator="\r\n")
        rows.writerow(self.headings.values())
        rows.writerows([keys.get(word, "") for word in self.headings] for keys in people)
        return out.getvalue()


FORMS: Mapping[str, Form] = {
    "meta": Form({"EMAIL": "email", "PHONE": "phone"}, meta.email, meta.phone),
    "google": Form({"emailAddress": "Email", "phoneNumber": "Phone"}, google.email, google.phone),
}


@dataclass(frozen=True, slots=True)
class Config:
    form: str
    """Whose: a word of FORMS."""
    to: str
    """A folder, or `s3://bucket/folder`, `gs://…`, `az://account/container/folder`."""
    audience: str
    storage: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Words of the object store, such as access_key_id; what is left out comes from its own environment."""


class Files(Platform):
    """Each part is a file of its own, which is there whole or not at all. Whoever takes them to the platform does so in
    the order of their names."""

    name: ClassVar[str] = "file"

    def __init__(self, config: Config, now: Callable[[], datetime]) -> None:
        """`now`: machine time, for the names."""
        self.config = config
        self.now = now
        self.form = FORMS[config.form]
        self.store: Any = None

    def normalise(self, reach: Reach) -> Keys:
        return self.form.keys(reach)

    async def add(self, people: Sequence[Keys], part: Part) -> Taken:
        return await self._write("add", people, part)

    async def remove(self, people: Sequence[Keys], part: Part) -> Taken:
        return await self._write("remove", people, part)

    async def _write(self, verb: str, people: Sequence[Keys], part: Part) -> Taken:
        name = f"{self.config.audience}/{self.now():%Y%m%dT%H%M%S.%fZ}-{part.session:x}-{part.no:04}-{verb}.csv"
        await put(self, name, self.form.write(people).encode())
        return Taken()


async def put(place: Files, name: str, body: bytes) -> None:
    """Raises Misconfigured or Unclear; their sentences hold neither words of the store nor its answer."""
    from obstore import exceptions as of_store  # noqa: PLC0415  a large library, and only files need it
    from obstore import put_async  # noqa: PLC0415

    faults = (
        of_store.PermissionDeniedError,
        of_store.UnauthenticatedError,
        of_store.NotFoundError,
        of_store.InvalidPathError,
        of_store.UnknownConfigurationKeyError,
        of_store.NotSupportedError,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            if place.store is None:
                place.store = await asyncio.to_thread(opened, place.config)
            await put_async(place.store, name, body)
    except TimeoutError:
        raise Unclear(f"the store of files did not answer within {PATIENCE:g} s", code="timeout") from None
    except faults as error:
        raise Misconfigured(f"the store of files refuses: {type(error).__name__}", code=type(error).__name__) from None
    except (of_store.BaseError, OSError, ValueError) as error:
        raise Unclear(f"the store of files: {type(error).__name__}", code=type(error).__name__) from None


def opened(config: Config) -> Any:
    """The folder (made if need be) or the object store. Nothing is asked of it yet."""
    from obstore.store import LocalStore, from_url  # noqa: PLC0415

    if not config.to.startswith(STORES):
        return LocalStore(Path(config.to), mkdir=True)
    near = any(value.startswith("http://") for value in config.storage.values())
    make: Any = from_url  # its types know the words of each store; which store it is, only the address says
    return make(
        config.to,
        config=dict(config.storage),
        client_options={"timeout": timedelta(seconds=20), "connect_timeout": timedelta(seconds=5), "allow_http": near},
        retry_config={"max_retries": 1, "retry_timeout": timedelta(seconds=20)},
    )
