"""One Postgres connection: opened when it is needed, and again when it broke."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from psycopg import Connection, OperationalError, ProgrammingError
from psycopg.conninfo import make_conninfo
from psycopg.errors import ConnectionTimeout, ReadOnlySqlTransaction
from psycopg.rows import DictRow, dict_row

from order_engine.domain.errors import Unavailable

if TYPE_CHECKING:
    from order_engine.adapters.database_login import DatabaseLogin, Login

DEADLINE_SECONDS = 3.0
CONNECT_SECONDS = 2
REST_SECONDS = 10.0
"""After a server that said nothing, so that waiting for it does not become all that a worker does."""

STATEMENT_SECONDS = 2

AMAZON_ROOTS = Path(__file__).with_name("amazon_roots.pem")

_AWAY = (OperationalError, ReadOnlySqlTransaction)

Parameters = Mapping[str, Any] | Sequence[Any]
Result = TypeVar("Result")
Item = TypeVar("Item")


class BadDatabaseUrl(Exception):
    """The connection string does not parse. Says nothing of what is in it, for that includes a password."""


class Database:
    """The orders of one worker take turns on its one connection, which only one thread ever touches.

    That thread is not one of the event loop's: the other clients need those, and a loop that ends waits for them, so a
    server that accepts and then says nothing would hold up the invocation.

    A `url` without a user goes with a `login`.
    """

    def __init__(self, url: str, login: DatabaseLogin | None = None) -> None:
        self._url = url
        self._login = login
        self._connection: Connection[DictRow] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="postgres")
        self._silent_until = 0.0

    async def execute(self, statement: str, parameters: Parameters = ()) -> list[DictRow]:
        """The rows of one idempotent statement, which is its own transaction and committed on return.

        Raises `Unavailable` when there is no answer within `DEADLINE_SECONDS`, waiting for one's turn included, and at
        once for `REST_SECONDS` after that.
        Errors in the statement or its data come as psycopg raises them.
        """
        return await self.in_turn(partial(self.execute_now, statement, parameters))

    async def in_turn(self, work: Callable[[], Result]) -> Result:
        """The same for anything that may `execute_now`."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._silent_until:
            raise Unavailable("Postgres")
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                return await loop.run_in_executor(self._thread, work)
        except (ConnectionTimeout, TimeoutError) as error:
            self._silent_until = loop.time() + REST_SECONDS
            raise Unavailable("Postgres") from error
        except _AWAY as error:
            raise Unavailable("Postgres") from error

    def execute_now(self, statement: str, parameters: Parameters) -> list[DictRow]:
        """Only when it is one's turn."""
        if self._connection is not None:
            try:
                return _rows(self._connection, statement, parameters)
            except OperationalError:
                if not self._connection.closed:
                    raise
                # Broken since its last use, as after a restart of the server or a long freeze of the worker.
            except ReadOnlySqlTransaction:
                # The server has become a standby: after a failover, the name leads to another one.
                self._connection.close()
        self._connection = None
        self._connection = connect(
            self._url, connect_seconds=CONNECT_SECONDS, statement_seconds=STATEMENT_SECONDS, login=self._login
        )
        return _rows(self._connection, statement, parameters)


class Together(Generic[Item]):
    """One statement for all items that wait for their turn at the same time, and an outcome for each."""

    def __init__(self, database: Database, query: Callable[[Sequence[Item]], tuple[str, Parameters]]) -> None:
        self._database = database
        self._query = query
        self._waiting: deque[tuple[Item, Future[None]]] = deque()

    async def execute(self, item: Item) -> None:
        """As `Database.execute`."""
        outcome: Future[None] = Future()
        self._waiting.append((item, outcome))
        try:
            await self._database.in_turn(partial(self._take_turn, outcome))
        finally:
            outcome.cancel()

    def _take_turn(self, outcome: Future[None]) -> None:
        waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
        self._execute([(item, waits) for item, waits in waiting if waits.set_running_or_notify_cancel()])
        # An earlier turn may have brought it.
        outcome.result()

    def _execute(self, waiting: Sequence[tuple[Item, Future[None]]]) -> None:
        if not waiting:
            return
        try:
            self._database.execute_now(*self._query([item for item, _ in waiting]))
        except Exception as error:
            if len(waiting) == 1 or isinstance(error, (*_AWAY, Unavailable)):
                for _, outcome in waiting:
                    outcome.set_exception(error)
            else:
                # Something is wrong with one of them, which is no trouble of the others.
                for one in waiting:
                    self._execute([one])
        else:
            for _, outcome in waiting:
                outcome.set_result(None)


def connect(
    url: str, *, connect_seconds: int, statement_seconds: int, login: DatabaseLogin | None = None
) -> Connection[DictRow]:
    """A connection in autocommit mode whose times are UTC and whose statements end in time.

    Raises `OperationalError` when there is nobody to connect to, `BadDatabaseUrl` when `url` does not parse, and
    `Unavailable` when the login cannot be read.
    """
    connection = _log_in(url, login, connect_seconds) if login else _open(url, {}, connect_seconds)
    # Not as connection options: poolers such as RDS Proxy refuse those.
    connection.execute(
        "SELECT set_config('timezone', 'UTC', false), set_config('statement_timeout', %s, false),"
        # What a page costs on solid state, against 1 in a row; the default of 4 is for disks that turn.
        " set_config('random_page_cost', '1.1', false)",
        [f"{statement_seconds}s"],
    )
    return connection


def _log_in(url: str, login: DatabaseLogin, connect_seconds: int) -> Connection[DictRow]:
    remembered = login.read()
    try:
        return _open(url, remembered, connect_seconds)
    except OperationalError as error:
        # No code comes with a login that was refused, but that the server had asked for the password is known.
        was_heard = error.pgconn is not None and error.pgconn.used_password
        if not was_heard or (fresh := login.read_again()) == remembered:
            raise
    return _open(url, fresh, connect_seconds)


def _open(url: str, login: Login, connect_seconds: int) -> Connection[DictRow]:
    # Whom libpq trusts where the URL has it look at certificates. A database of somebody else's brings its own roots.
    roots = {"sslrootcert": str(AMAZON_ROOTS)} if login else {}
    try:
        conninfo = make_conninfo(
            url,
            **login,
            **roots,
            application_name="order-engine",
            connect_timeout=connect_seconds,
            # A peer that vanished without a word is noticed within seconds instead of minutes.
            keepalives_idle=5,
            keepalives_interval=1,
            keepalives_count=2,
            tcp_user_timeout=1500,
        )
    except ProgrammingError:
        raise BadDatabaseUrl("the database URL is not a Postgres connection string") from None
    return Connection.connect(conninfo, autocommit=True, row_factory=dict_row)


def _rows(connection: Connection[DictRow], statement: str, parameters: Parameters) -> list[DictRow]:
    cursor = connection.execute(statement, parameters)
    return cursor.fetchall() if cursor.description else []
