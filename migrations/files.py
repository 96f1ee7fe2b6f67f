"""The .sql files in their order; the number of each is its revision."""

from pathlib import Path

SQL_FOLDER = Path(__file__).with_name("sql")


def sql_files(folder: Path = SQL_FOLDER) -> list[Path]:
    return sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))


def number(path: Path) -> str:
    return path.stem[:4]
