"""Secrets that are made once and then stay with the data folder."""

import os
import secrets
from pathlib import Path

from daemon.embedded.folder import explained, make_data_folder, sync_folder


def key(data_dir: Path, name: str) -> str:
    """The key of this name, 64 hexadecimal digits, made and synced to disk at the first call.

    Two callers at once get the same one. Names in use: secret (signs links), push (signs web pushes), pepper (hashes
    addresses: whoever loses it has forgotten every opt-out), postgres and valkey (passwords of the embedded servers).
    """
    folder = make_data_folder(data_dir)
    path = folder / "keys" / name
    with explained(folder):
        if not path.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            make(path)
        return path.read_text().strip()


def make(path: Path) -> None:
    """A whole file or none, and never over one that is already there."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # somebody else was first: theirs counts
    finally:
        draft.unlink()
    sync_folder(path.parent)
