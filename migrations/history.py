"""Alembic's history, read from the folder of .sql files: a new file there is a new revision."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from alembic import op
from alembic.script import Script, ScriptDirectory
from sqlalchemy.util import await_only

from migrations.files import SQL_FOLDER, number, sql_files


class History(ScriptDirectory):
    """One revision for each `NNNN_what_is_new.sql`, in the order of their numbers; the number is the revision's id."""

    def __init__(self, sql_folder: Path = SQL_FOLDER) -> None:
        self.sql_folder = sql_folder
        super().__init__(str(Path(__file__).parent))

    def _load_revisions(self) -> Iterator[Script]:
        before: str | None = None
        for path in sql_files(self.sql_folder):
            module = revision(path, before)
            yield Script(module, number(path), str(path))
            before = number(path)


def revision(path: Path, before: str | None) -> ModuleType:
    """What alembic would otherwise read from a Python file."""
    module = ModuleType(path.stem, doc=path.stem)
    module.__dict__.update(revision=number(path), down_revision=before, upgrade=upgrade_with(path))
    return module


def upgrade_with(path: Path) -> Callable[[], None]:
    def upgrade() -> None:
        # A .sql file holds several statements. Only the driver itself takes them in one go.
        connection = op.get_bind().connection.driver_connection
        assert connection is not None
        await_only(connection.execute(path.read_text()))

    return upgrade
