"""The way into a database whose password RDS keeps in Secrets Manager and changes: read, remembered, read again."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from moto import mock_aws
from psycopg.sql import SQL, Identifier, Literal

from local.postgres import Postgres
from order_engine.adapters import database
from order_engine.adapters.database import Database, Together, connect
from order_engine.adapters.database_login import DatabaseLogin
from order_engine.adapters.migrations import apply_migrations
from order_engine.domain.errors import Unavailable
from order_engine.runtime.migrate_database import reason

ROLE = "engine_with_password"


class CountingSecrets:
    """Secrets Manager, and how often it was asked."""

    def __init__(self, secrets: Any) -> None:
        self._secrets = secrets
        self.reads = 0
        self.arn = secrets.create_secret(Name="database", SecretString="{}")["ARN"]

    def get_secret_value(self, **parameters: str) -> Any:
        self.reads += 1
        return self._secrets.get_secret_value(**parameters)

    def set(self, password: str) -> None:
        # More is in it; these two are what RDS promises.
        secret = json.dumps({"username": ROLE, "password": password})
        self._secrets.put_secret_value(SecretId=self.arn, SecretString=secret)


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[CountingSecrets]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        import boto3  # noqa: PLC0415

        yield CountingSecrets(boto3.client("secretsmanager"))


@pytest.fixture
def rotate(postgres: Postgres, secrets: CountingSecrets) -> Iterator[Any]:
    """Changes the password, in the database and in the secret as it is told."""
    with psycopg.connect(postgres.url, autocommit=True) as administrator:
        administrator.execute(SQL("CREATE ROLE {} LOGIN").format(Identifier(ROLE)))
        (hba,) = administrator.execute("SELECT current_setting('hba_file')").fetchone() or ("",)
        before = Path(hba).read_text()
        Path(hba).write_text(f"host all {ROLE} 127.0.0.1/32 scram-sha-256\n{before}")
        administrator.execute("SELECT pg_reload_conf()")

        def change(*, database: str, secret: str) -> None:
            statement = SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(ROLE), Literal(database))
            administrator.execute(statement)
            secrets.set(secret)

        yield change
        Path(hba).write_text(before)
        administrator.execute("SELECT pg_reload_conf()")
        administrator.execute(SQL("DROP ROLE {}").format(Identifier(ROLE)))


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.url.replace("postgres@", "")


def user(url: str, login: DatabaseLogin) -> Any:
    with connect(url, connect_seconds=2, statement_seconds=2, login=login) as connection:
        row = connection.execute("SELECT current_user AS name").fetchone()
        return row and row["name"]


def test_a_login_is_read_once_for_many_connections(url: str, secrets: CountingSecrets, rotate: Any) -> None:
    rotate(database="first", secret="first")
    login = DatabaseLogin(secrets.arn, secrets)

    assert [user(url, login) for _ in range(3)] == [ROLE] * 3
    assert secrets.reads == 1


def test_a_login_that_is_refused_after_a_rotation_is_read_again(
    url: str, secrets: CountingSecrets, rotate: Any
) -> None:
    rotate(database="first", secret="first")
    login = DatabaseLogin(secrets.arn, secrets)
    user(url, login)
    rotate(database="second", secret="second")

    assert user(url, login) == ROLE
    assert secrets.reads == 2


def test_a_login_that_is_simply_wrong_is_tried_once(url: str, secrets: CountingSecrets, rotate: Any) -> None:
    rotate(database="right", secret="wrong")
    login = DatabaseLogin(secrets.arn, secrets)

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        user(url, login)
    assert secrets.reads == 2


def test_a_database_that_is_away_costs_no_second_read(secrets: CountingSecrets) -> None:
    secrets.set("any")
    login = DatabaseLogin(secrets.arn, secrets)

    for _ in range(3):
        with pytest.raises(psycopg.OperationalError, match="refused"):
            user("postgresql://127.0.0.1:1/orders", login)
    assert secrets.reads == 1


def test_a_secret_that_may_not_be_read_makes_the_database_unavailable(url: str, secrets: CountingSecrets) -> None:
    login = DatabaseLogin(secrets.arn + "-of-another", secrets)

    with pytest.raises(Unavailable) as caught:
        asyncio.run(Database(url, login).execute("SELECT 1"))
    assert caught.value.dependency == "Secrets Manager"
    assert reason(caught.value) == "The database's password could not be read from Secrets Manager"


def test_orders_that_wait_together_ask_once_for_a_secret_that_cannot_be_had(secrets: CountingSecrets) -> None:
    database = Database("postgresql://127.0.0.1:1/orders", DatabaseLogin(secrets.arn + "-of-another", secrets))
    together: Together[int] = Together(database, lambda items: ("SELECT 1", ()))
    go_on = threading.Event()

    async def at_once() -> list[BaseException | None]:
        busy = asyncio.create_task(database.in_turn(go_on.wait))
        waiting = asyncio.gather(*(together.execute(number) for number in range(10)), return_exceptions=True)
        await asyncio.sleep(0)
        go_on.set()
        await busy
        return await waiting

    outcomes = asyncio.run(at_once())
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 10
    assert secrets.reads == 1


# Certificates. The Postgres of the tests has no TLS, so the first two steps of its protocol stand in for it here.


@pytest.mark.parametrize("name", ["127.0.0.1", "another.example.com"])
def test_the_password_goes_only_to_a_server_that_a_trusted_root_vouches_for_by_name(
    name: str, secrets: CountingSecrets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets.set("secret")
    login = DatabaseLogin(secrets.arn, secrets)
    with tls_server(tmp_path, name) as (port, certificate, heard):
        url = f"postgresql://127.0.0.1:{port}/orders?sslmode=verify-full"
        with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
            user(url, login)
        assert heard == []
        with pytest.raises(Unavailable) as caught:
            apply_migrations(url, login=login)
        assert reason(caught.value).endswith("is its region among them?")

        monkeypatch.setattr(database, "AMAZON_ROOTS", certificate)
        expected = "unexpected eof" if name == "127.0.0.1" else "does not match host name"
        with pytest.raises(psycopg.OperationalError, match=expected):
            user(url, login)
        assert [ROLE.encode() in said for said in heard] == ([True] if name == "127.0.0.1" else [])


def test_the_roots_are_whole_and_vouch_for_themselves() -> None:
    roots = x509.load_pem_x509_certificates(database.AMAZON_ROOTS.read_bytes())
    names = [str(root.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value) for root in roots]
    text = database.AMAZON_ROOTS.read_text()

    assert "Amazon Root CA 1" in names
    assert "Amazon RDS us-east-1 Root CA RSA2048 G1" in names
    for root, name in zip(roots, names, strict=True):
        root.verify_directly_issued_by(root)
        assert f"# {name}, SHA-256 {root.fingerprint(SHA256()).hex()}" in text
        assert root.not_valid_after_utc > datetime(2038, 1, 1, tzinfo=UTC)


@contextmanager
def tls_server(folder: Path, name: str) -> Iterator[tuple[int, Path, list[bytes]]]:
    """Agrees to TLS as Postgres does, notes what it hears under it and hangs up. With its port and certificate."""
    certificate = self_signed(folder, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    heard: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        for _ in range(3):
            connection, _ = listener.accept()
            with connection:
                connection.recv(8)
                connection.sendall(b"S")
                try:
                    with context.wrap_socket(connection, server_side=True) as encrypted:
                        if said := encrypted.recv(1024):
                            heard.append(said)
                except (ssl.SSLError, ConnectionError):
                    continue

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=[listener], daemon=True)
        thread.start()
        yield listener.getsockname()[1], certificate, heard
        thread.join(timeout=5)
        assert not thread.is_alive()


def self_signed(folder: Path, name: str) -> Path:
    """A file with a certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    names: x509.GeneralName = x509.DNSName(name) if name[-1].isalpha() else x509.IPAddress(ip_address(name))
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    file = folder / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(certificate.public_bytes(Encoding.PEM) + private)
    return file
