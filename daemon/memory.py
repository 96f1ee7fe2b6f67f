"""What this host remembers of its database, in the data folder: so a restored backup is known for what it is."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

FILE = "remembered.json"


class Memory:
    """The highest number of beats that this host has seen, of one database. Processes of one folder share it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.seen: dict[str, int] = {}

    def beats(self, id: uuid.UUID) -> int | None:
        """Of the database with this id; None: this host has never seen it, or not last."""
        known = [seen.get(str(id)) for seen in (self.seen, self._read())]
        return max((beats for beats in known if beats is not None), default=None)

    def keep(self, id: uuid.UUID, beats: int) -> None:
        """On the disk when this returns. Raises OSError."""
        self.seen = {str(id): max(beats, self.beats(id) or 0)}
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self.path.with_suffix(f".{os.getpid()}.new")
        with draft.open("w") as file:
            json.dump(self.seen, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)

    def _read(self) -> dict[str, int]:
        try:
            found = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}
        return {str(id): int(beats) for id, beats in found.items()} if isinstance(found, dict) else {}
