from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from local.postgres import Postgres
from order_engine.adapters.migrations import apply_migrations


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A real Postgres of this test run's own."""
    folder = tmp_path_factory.mktemp("postgres")
    server = Postgres(folder / "data", free_port(), folder / "postgres.log")
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def database_url(postgres: Postgres) -> str:
    """Of a database that has the schema."""
    apply_migrations(postgres.url)
    return postgres.url


_numbers = itertools.count(1)


@pytest.fixture
def empty_database_url(postgres: Postgres) -> str:
    """Of a database with nothing in it, for one test."""
    return new_database(postgres)


def new_database(postgres: Postgres) -> str:
    name = f"empty_{next(_numbers)}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    return postgres.url.removesuffix("/postgres") + f"/{name}"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
