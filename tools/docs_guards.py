"""Writes docs/guards.md from tests/sabotage/guards.py: each guard of the promise, and the test that misses it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.sabotage.guards import GUARDS, Guard

PAGE = Path(__file__).parents[1] / "docs" / "guards.md"
INTRO = """\
# Guards

<!-- Written by tools/docs_guards.py from tests/sabotage/guards.py: change that, then run `make docs`. -->

What keeps a message from leaving twice, too late or to the wrong person, one line each. A test proves each line: it
takes the guard out of a copy of the project and demands that an assertion of the named test fails. `make test-long`
does so for all of them; for some, with what their tests say:

```bash
.venv/bin/python -m tests.sabotage.saboteur "quiet hours" reaper
```

| without this | in | this test goes red |
|---|---|---|
"""


def page() -> str:
    """What docs/guards.md should say."""
    return INTRO + "".join(_line(guard) for guard in GUARDS)


def _line(guard: Guard) -> str:
    where = guard.edits[0].file
    file, _, test = guard.test.partition("::")
    name, _, case = test.removesuffix("]").partition("[")
    said = (name or Path(file).stem).removeprefix("test_").replace("_", " ") + (f": {case}" if case else "")
    return f"| {guard.name} | [{where}](../{where}) | [{said}](../{file}) |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
