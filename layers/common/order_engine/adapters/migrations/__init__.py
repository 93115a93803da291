"""The schema of the history, as numbered SQL files beside this one, and how a database is brought up to date.

A file that has been applied anywhere is never edited: what comes later goes into the next number.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg import Connection, Error, OperationalError
from psycopg.rows import DictRow

from order_engine.adapters.database import connect
from order_engine.domain.errors import Unavailable

if TYPE_CHECKING:
    from order_engine.adapters.database_login import DatabaseLogin

CONNECT_SECONDS = 10
STATEMENT_SECONDS = 100
"""Waiting for a new database, for another deploy and then for a slow migration still leaves the function time to say
what happened."""

_LOCK = 0x6F72646572  # "order"; any number that others who use this database are unlikely to lock

_APPLIED = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    name       text PRIMARY KEY,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


class MigrationFailed(Exception):
    """The database stays as the migration before this one left it."""


@dataclass(frozen=True, slots=True)
class Migration:
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """All there are, in the order of their numbers."""
    files = sorted(Path(__file__).parent.glob("*.sql"))
    return [Migration(file.stem, file.read_text(encoding="utf-8")) for file in files]


def apply_migrations(
    url: str, wanted: Iterable[Migration] | None = None, *, login: DatabaseLogin | None = None
) -> list[str]:
    """Bring the database up to date; returns the names of what had to be applied, in order.

    Each migration is a transaction of its own and is applied once, however many deploys race. Raises `Unavailable`
    when there is no database or no login for it, and `MigrationFailed` when one was changed after it had been applied
    or does not work.
    """
    try:
        connection = connect(url, connect_seconds=CONNECT_SECONDS, statement_seconds=STATEMENT_SECONDS, login=login)
    except OperationalError as error:
        raise Unavailable("Postgres") from error
    with connection:
        wanted = migrations() if wanted is None else wanted
        return [migration.name for migration in wanted if _apply(connection, migration)]


def _apply(connection: Connection[DictRow], migration: Migration) -> bool:
    try:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            connection.execute(_APPLIED)
            if _is_applied(connection, migration):
                return False
            connection.execute(migration.sql)
            connection.execute(
                "INSERT INTO schema_migrations (name, checksum) VALUES (%s, %s)", [migration.name, migration.checksum]
            )
            return True
    except Error as error:
        raise MigrationFailed(f"{migration.name}: {error.diag.message_primary or 'connection lost'}") from error


def _is_applied(connection: Connection[DictRow], migration: Migration) -> bool:
    applied = connection.execute("SELECT checksum FROM schema_migrations WHERE name = %s", [migration.name]).fetchone()
    if applied is not None and applied["checksum"] != migration.checksum:
        raise MigrationFailed(f"{migration.name} was changed after it had been applied; undo that and add a new one")
    return applied is not None
