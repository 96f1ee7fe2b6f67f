"""Resolves the dependencies for every supported Python and platform: hashes, and no addresses."""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bootstrap import LOCK, ROOT, UV_LOCK, find_uv

RUN_LOCK = ROOT / "requirements-run.lock"
OPTIONS = [
    "--universal",
    "--python-version",
    "3.11",
    "--generate-hashes",
    "--no-header",
    "--no-emit-index-url",
    "--quiet",
]


def main(options: list[str]) -> None:
    uv = find_uv(sys.executable)
    compile_lock = [uv, "pip", "compile", *OPTIONS, *options]
    everything = [*compile_lock, "--group", "dev", "pyproject.toml", "--output-file", LOCK]
    subprocess.run(everything, cwd=ROOT, check=True)
    # What the image needs: the same versions, without the developers' tools.
    to_run = [*compile_lock, "--no-annotate", "--constraint", LOCK.name, "pyproject.toml", "--output-file", RUN_LOCK]
    subprocess.run(to_run, cwd=ROOT, check=True)
    subprocess.run(
        [*compile_lock, "--no-annotate", "-", "--output-file", UV_LOCK], cwd=ROOT, check=True, input="uv\n", text=True
    )


if __name__ == "__main__":
    main(sys.argv[1:])
