"""The account that servers run as: our own, or an unprivileged one when we are root."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import ConfigurationError

NAMES = ("tillbell", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    uid: int
    gid: int


def servant() -> Account | None:
    """Whom the servers run as; None: as ourselves. PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise ConfigurationError(
        f"PostgreSQL does not run as root, and none of the accounts {', '.join(NAMES)} exists; "
        "hint: useradd --system tillbell"
    )


def make_folder(folder: Path, account: Account | None, mode: int = 0o700) -> None:
    """The folder is there, with this mode, and belongs to the account."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(mode)
    if account:
        os.chown(folder, account.uid, account.gid)


def refuse_closed_parents(folder: Path, account: Account) -> None:
    """The account must be able to walk down to the folder; modes outside it are not ours to change, so we say which."""
    for parent in folder.resolve().parents:
        if not may_pass(parent.stat(), account):
            raise ConfigurationError(
                f"the account {account.name}, which runs the embedded servers, cannot pass {parent} to reach {folder}; "
                "hint: set TILLBELL_DATA_DIR to a folder such as /var/lib/tillbell, or run tillbell as an ordinary user"
            )


def may_pass(found: os.stat_result, account: Account) -> bool:
    if found.st_uid == account.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == account.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)
