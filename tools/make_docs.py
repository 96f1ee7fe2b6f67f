"""Writes every generated page and picture: runs each tools/docs_*.py in turn, or those named."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(names: list[str]) -> int:
    """The number of generators that failed."""
    generators = sorted(HERE.glob("docs_*.py"))
    known = {path.stem.removeprefix("docs_"): path for path in generators}
    if unknown := [name for name in names if name not in known]:
        print(f"unknown: {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return len(unknown)
    failed = 0
    for name in names or known:
        print(f"docs: {name}", flush=True)
        failed += subprocess.run([sys.executable, known[name]], cwd=HERE.parent, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
