"""The data folder: where it is, and who owns it right now."""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from daemon.errors import ConfigurationError


def default_folder() -> Path:
    """TILLBELL_DATA_DIR, else /var/lib/tillbell for root, else the XDG data folder."""
    if chosen := os.environ.get("TILLBELL_DATA_DIR"):
        return Path(chosen).expanduser()
    if os.geteuid() == 0:
        return Path("/var/lib/tillbell")
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "share") / "tillbell"


def make_data_folder(data_dir: Path) -> Path:
    """The folder, made if need be. Others may pass it only when we are root and the servers run as somebody else."""
    folder = data_dir.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"cannot make the data folder {folder}: {error.strerror}; hint: set TILLBELL_DATA_DIR"
        ) from error
    if folder.stat().st_uid == os.geteuid():
        folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    return folder


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """A data folder that another account has used becomes an error with a way out."""
    try:
        yield
    except PermissionError as error:
        raise ConfigurationError(
            f"{error.filename} belongs to another account than ours (user number {os.geteuid()}); "
            f"hint: run as the account that made {folder}, or set TILLBELL_DATA_DIR to another folder"
        ) from error


class Ownership:
    """One process owns a data folder's servers; the lock goes with the process, however it ends."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lock"
        self.notice = folder / "servers.json"
        self.descriptor: int | None = None

    def take(self) -> bool:
        """False: another living process has it."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        # The token tells this owner from an earlier one with the same number, as in a container.
        os.write(descriptor, f"{os.getpid()} {secrets.token_hex(8)}".encode())
        self.descriptor = descriptor
        self.notice.unlink(missing_ok=True)
        return True

    def owner(self) -> str:
        """The owner's process number, and a token of its own."""
        try:
            return self.path.read_text().strip()
        except OSError:
            return ""

    def publish(self, urls: dict[str, str]) -> None:
        """Tell other processes of this data folder where the servers listen."""
        draft = self.notice.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump({"owner": self.owner(), **urls}, file)
        draft.replace(self.notice)

    def published(self) -> dict[str, str] | None:
        """What the present owner told; None while it is still starting."""
        try:
            told: dict[str, str] = json.loads(self.notice.read_text())
        except (OSError, ValueError):
            return None
        return told if told.pop("owner", "") == self.owner() else None

    def give_back(self) -> None:
        if self.descriptor is not None:
            self.notice.unlink(missing_ok=True)
            os.close(self.descriptor)
            self.descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_back()


def sync_folder(folder: Path) -> None:
    """A new or removed name is on the disk only after its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
