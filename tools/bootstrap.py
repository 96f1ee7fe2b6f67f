"""Makes .venv from requirements.lock; needs nothing but Python 3.11 and pip.

Safe to run at any time: it returns at once when all is up to date, a second one at the same moment waits, and what a
killed one left half-done is made anew. Nothing outside this folder changes, except for uv's own cache.
"""

# This file itself also starts on a Python that is too old, to find a newer one.
from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator  # noqa: UP035

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.lock"
UV_LOCK = ROOT / "tools" / "uv.lock"
STAMP = VENV / "tillbell.stamp"  # written last: without it the folder is not finished
NEWEST_FIRST = ("python3.13", "python3.12", "python3.11", "python3")
OLDEST, NEWEST = (3, 11), (3, 13)
ASK_VERSION = "import sys; print(sys.version_info[0], sys.version_info[1], sys.executable)"


class GiveUp(Exception):
    """Nothing more can be tried; the text says what the reader can do."""


def main() -> None:
    try:
        TOOLS.mkdir(exist_ok=True)
        with alone():
            bring_up_to_date()
    except GiveUp as error:
        sys.exit(f"bootstrap: {error}")
    except PermissionError as error:
        sys.exit(f"bootstrap: {error.filename} belongs to another account; hint: clone as the account that uses it")
    except subprocess.CalledProcessError as error:
        sys.exit(f"bootstrap: `{' '.join(map(str, error.cmd[:4]))} …` failed, see above; hint: run it again to go on")


def bring_up_to_date() -> None:
    had = read_stamp()
    if had == wanted(had.get("python", "")) and PYTHON.exists():
        return
    python = usable_python()
    uv = find_uv(python)
    want = wanted(python)
    if had.get("python") != python or had.get("place") != str(ROOT):
        say(f"making {VENV.name} with {python}")
        run(uv, "venv", "--quiet", "--clear", "--python", python, VENV)
    # From here on the folder counts as unfinished.
    STAMP.unlink(missing_ok=True)
    say("installing what requirements.lock names")
    run(uv, "pip", "sync", "--quiet", "--python", PYTHON, "--require-hashes", LOCK)
    # The lock holds the build backend too: nothing without a hash is fetched for this.
    run(uv, "pip", "install", "--quiet", "--python", PYTHON, "--no-deps", "--no-build-isolation", "--editable", ROOT)
    draft = STAMP.with_suffix(".new")
    draft.write_text(json.dumps(want))
    draft.replace(STAMP)
    say("ready")


def read_stamp() -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return found


def wanted(python: str) -> dict[str, str]:
    """What a finished .venv was made from, by which Python, and where: it cannot be moved."""
    content = hashlib.sha256(LOCK.read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()
    return {"content": content, "python": python, "place": str(ROOT)}


@contextmanager
def alone() -> Iterator[None]:
    with (TOOLS / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another one is at it, waiting")
            fcntl.flock(file, fcntl.LOCK_EX)
        os.set_inheritable(file.fileno(), True)  # a child that outlives us, if we are killed, still holds the lock
        yield


def usable_python() -> str:
    """Ours if it fits, else the newest on PATH that does. A name on PATH may be a shim without a Python behind it."""
    for name in (sys.executable, *NEWEST_FIRST):
        if not find(name):
            continue
        asked = subprocess.run([name, "-c", ASK_VERSION], capture_output=True, text=True, check=False)
        if asked.returncode != 0:
            continue
        major, minor, path = asked.stdout.strip().split(" ", 2)
        if OLDEST <= (int(major), int(minor)) <= NEWEST:
            return path
    raise GiveUp("no Python 3.11, 3.12 or 3.13 found; hint: install one, or name it: make PYTHON=/path/to/python3.12 …")


def find(name: str) -> str | None:
    return shutil.which(name)


def find_uv(python: str) -> str:
    """The uv on PATH if it works, else our own, fetched once by pip with the hashes in tools/uv.lock."""
    installed = find("uv")
    if installed and subprocess.run([installed, "--version"], capture_output=True, check=False).returncode == 0:
        return installed
    own = TOOLS / hashlib.sha256(UV_LOCK.read_bytes()).hexdigest()[:12]
    if not own.exists():
        say("fetching uv")
        draft = own.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        run(*pip(python), "install", "--quiet", "--require-hashes", "--requirement", UV_LOCK, "--target", draft)
        draft.rename(own)
    return str(own / "bin" / "uv")


def pip(python: str) -> tuple[str | Path, ...]:
    """pip of that Python, or of a bare environment made for it: Debian ships Python without pip."""
    options = ("-m", "pip", "--disable-pip-version-check", "--no-input")
    if subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
        return (python, *options)
    bare = TOOLS / "pip"
    if subprocess.run([python, "-m", "venv", "--clear", bare], capture_output=True, check=False).returncode != 0:
        raise GiveUp("this Python has neither pip nor venv; hint: apt-get install python3-venv, or install uv")
    return (bare / "bin" / "python", *options)


def run(*command: str | Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    environment.setdefault("UV_SYSTEM_CERTS", "1")  # trust what pip trusts
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=sys.stderr, close_fds=False)


def say(text: str) -> None:
    print(f"bootstrap: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
