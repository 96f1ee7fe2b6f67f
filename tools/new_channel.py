"""Writes the skeleton of a channel and its stage, for which the contract is green at once: make new-channel NAME=fax"""

import keyword
import re
import sys
from pathlib import Path
from string import Template

ROOT = Path(__file__).resolve().parent.parent
TEXTS = Path(__file__).resolve().parent / "channel"
NEXT = """Green already: make test ARGS="tests/channels/test_contract.py -k {name}"
What is left, in this order:
  1. channels/{name}.py: your provider's request, answers and signatures; tests/channels/stages/{name}.py: its moods
  2. daemon/settings.py and daemon/opening.py: open it from its settings
  3. daemon/flow/writers.py: what goes out on it, and to whom
  4. rules/later.py: let `send` take its name, and rules/law/__init__.py: the purpose that a consent must name
  5. tests/flow/faults/conftest.py: its provider in a process of its own, for the kills"""


def main(names: list[str]) -> None:
    name = names[0] if len(names) == 1 else ""
    if not re.fullmatch(r"[a-z][a-z0-9]{1,19}", name) or keyword.iskeyword(name):
        sys.exit("a channel's name is one word in small letters: make new-channel NAME=fax")
    files = {
        "channel.txt": ROOT / "channels" / f"{name}.py",
        "stage.txt": ROOT / "tests" / "channels" / "stages" / f"{name}.py",
    }
    there = [path for path in files.values() if path.exists()]
    if there:
        sys.exit(f"{there[0].relative_to(ROOT)} is there already; another name, or take it away first")
    for text, path in files.items():
        words = {"name": name, "Name": name.capitalize()}
        path.write_text(Template((TEXTS / text).read_text()).substitute(words))
        print(f"wrote {path.relative_to(ROOT)}")
    print(NEXT.format(name=name))


if __name__ == "__main__":
    main(sys.argv[1:])
