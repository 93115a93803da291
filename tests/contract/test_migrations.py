"""The schema's way into a real database: by the function, by the deploy, by the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from moto import mock_aws

from functions.migrate_database import app
from local.postgres import Postgres
from order_engine.adapters.database import BadDatabaseUrl
from order_engine.adapters.migrations import Migration, MigrationFailed, apply_migrations, migrations
from order_engine.domain.errors import Unavailable
from order_engine.runtime.migrate_database import PAUSE_SECONDS, RESOURCE_ID, TRIES, answer, fingerprint
from tests.contract.conftest import free_port

FIRST = Migration("0001_first", "CREATE TABLE first (id integer)")
SECOND = Migration("0002_second", "CREATE TABLE second (id integer); INSERT INTO second VALUES (1)")
BROKEN = Migration("0003_broken", "INSERT INTO first VALUES (1); INSERT INTO nowhere VALUES (1)")

PASSWORD = "correct-horse"


def value(url: str, statement: str) -> Any:
    with psycopg.connect(url) as connection:
        row = connection.execute(statement.encode()).fetchone()
        return row and row[0]


def tables(url: str) -> set[str]:
    return set(value(url, "SELECT array_agg(tablename::text) FROM pg_tables WHERE schemaname = 'public'") or ())


@pytest.fixture
def absent_url() -> str:
    return f"postgresql://user:{PASSWORD}@127.0.0.1:{free_port()}/orders"


# Applying


def test_migrations_are_applied_in_order_and_once(empty_database_url: str) -> None:
    assert apply_migrations(empty_database_url, [FIRST]) == ["0001_first"]
    assert apply_migrations(empty_database_url, [FIRST, SECOND]) == ["0002_second"]
    assert apply_migrations(empty_database_url, [FIRST, SECOND]) == []
    assert value(empty_database_url, "SELECT count(*) FROM second") == 1


def test_the_projects_own_migrations_make_the_tables(empty_database_url: str) -> None:
    names = [migration.name for migration in migrations()]

    assert [name[:4] for name in names] == [f"{number:04}" for number in range(1, len(names) + 1)]
    assert apply_migrations(empty_database_url) == names
    assert tables(empty_database_url) == {"orders", "order_status_history", "schema_migrations"}


def test_deploys_that_race_apply_each_migration_once(empty_database_url: str) -> None:
    slow = replace(FIRST, sql=f"{FIRST.sql}; SELECT pg_sleep(0.2)")
    with ThreadPoolExecutor() as deploys:
        applied = list(deploys.map(lambda _: apply_migrations(empty_database_url, [slow, SECOND]), range(4)))

    assert sorted(name for names in applied for name in names) == ["0001_first", "0002_second"]
    assert value(empty_database_url, "SELECT count(*) FROM second") == 1


def test_a_migration_that_was_changed_after_it_had_been_applied_is_refused(empty_database_url: str) -> None:
    apply_migrations(empty_database_url, [FIRST])

    with pytest.raises(MigrationFailed, match="0001_first was changed"):
        apply_migrations(empty_database_url, [replace(FIRST, sql="CREATE TABLE other (id integer)"), SECOND])
    assert tables(empty_database_url) == {"first", "schema_migrations"}


def test_a_migration_that_fails_leaves_no_trace_and_keeps_those_before_it(empty_database_url: str) -> None:
    with pytest.raises(MigrationFailed, match='0003_broken: relation "nowhere" does not exist'):
        apply_migrations(empty_database_url, [FIRST, SECOND, BROKEN])

    assert value(empty_database_url, "SELECT count(*) FROM first") == 0
    assert apply_migrations(empty_database_url, [FIRST, SECOND, replace(BROKEN, sql="SELECT 1")]) == ["0003_broken"]


def test_code_that_was_rolled_back_leaves_newer_migrations_alone(empty_database_url: str) -> None:
    apply_migrations(empty_database_url, [FIRST, SECOND])

    assert apply_migrations(empty_database_url, [FIRST]) == []


def test_a_database_that_is_away_is_unavailable(absent_url: str) -> None:
    with pytest.raises(Unavailable):
        apply_migrations(absent_url)


def test_a_url_that_does_not_parse_is_not_repeated() -> None:
    with pytest.raises(BadDatabaseUrl) as caught:
        apply_migrations(f"postgresql//user:{PASSWORD}@host/orders")

    assert PASSWORD not in str(caught.value)
    assert caught.value.__suppress_context__


# At deploy


@dataclass
class CloudFormation:
    """Takes answers at a URL, as the presigned one of a real deploy: whatever has a content type is refused."""

    url: str = ""
    answers: list[dict[str, Any]] = field(default_factory=list)

    def request(self, kind: str, **more: str) -> dict[str, Any]:
        identity = {"StackId": "stack", "RequestId": "request", "LogicalResourceId": "DatabaseSchema"}
        return {"RequestType": kind, "ResponseURL": f"{self.url}/answer?signature=1", **identity, **more}


@pytest.fixture
def cloudformation() -> Iterator[CloudFormation]:
    taken = CloudFormation()

    class Answers(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            taken.answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(403 if self.headers.get("Content-Type") else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        taken.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield taken
        server.shutdown()
        thread.join()


IDENTITY = {"StackId": "stack", "RequestId": "request", "LogicalResourceId": "DatabaseSchema"}


def test_creating_the_stack_makes_the_schema_and_updating_it_changes_nothing(
    cloudformation: CloudFormation, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    app.handler(cloudformation.request("Create"), None)
    app.handler(cloudformation.request("Update", PhysicalResourceId=RESOURCE_ID), None)

    success = {"Status": "SUCCESS", "PhysicalResourceId": RESOURCE_ID, **IDENTITY}
    names = ", ".join(migration.name for migration in migrations())
    data = [{"Applied": applied, "Fingerprint": fingerprint(empty_database_url)} for applied in (names, "")]
    assert cloudformation.answers == [success | {"Data": each} for each in data]
    assert "orders" in tables(empty_database_url)


def test_deleting_the_stack_touches_no_data_and_needs_no_database(
    cloudformation: CloudFormation, absent_url: str
) -> None:
    answer(cloudformation.request("Delete", PhysicalResourceId="made-up"), {"DATABASE_URL": absent_url})

    (answered,) = cloudformation.answers
    assert (answered["Status"], answered["PhysicalResourceId"]) == ("SUCCESS", "made-up")


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"DATABASE_URL": f"postgresql://user:{PASSWORD}@127.0.0.1:1/orders"}, "Postgres is unavailable"),
        ({"DATABASE_URL": f"postgresql://user:p@%2Fnowhere%2F{PASSWORD}/orders"}, "Postgres is unavailable"),
        ({"DATABASE_URL": f"postgresql://user:word@word:{PASSWORD}/orders"}, "Postgres is unavailable"),
        ({"DATABASE_URL": f"user:{PASSWORD}"}, "not a Postgres connection string"),
        ({}, "DATABASE_URL is not set"),
    ],
)
def test_a_failed_deploy_hears_the_reason_and_no_secret(
    cloudformation: CloudFormation, variables: Mapping[str, str], reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    pauses: list[float] = []
    answer(cloudformation.request("Create"), variables, pauses.append)

    (answered,) = cloudformation.answers
    assert (answered["Status"], answered["PhysicalResourceId"]) == ("FAILED", RESOURCE_ID)
    assert pauses == []
    assert reason in answered["Reason"]
    logged = capfd.readouterr()
    assert PASSWORD not in answered["Reason"] + logged.out + logged.err
    assert {key: answered[key] for key in IDENTITY} == IDENTITY


def test_a_migration_that_fails_is_the_reason(cloudformation: CloudFormation, empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("CREATE TABLE orders (of_somebody_else text)")
    answer(cloudformation.request("Create"), {"DATABASE_URL": empty_database_url})

    assert cloudformation.answers[0]["Reason"] == '0001_orders: relation "orders" already exists'


def test_an_answer_that_does_not_arrive_makes_lambda_try_again(empty_database_url: str) -> None:
    nobody = CloudFormation(f"http://127.0.0.1:{free_port()}")

    with pytest.raises(OSError, match="refused"):
        answer(nobody.request("Create"), {"DATABASE_URL": empty_database_url})


def test_a_database_that_the_stack_has_just_made_is_waited_for(
    cloudformation: CloudFormation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = Postgres(tmp_path / "data", free_port(), tmp_path / "postgres.log")
    pauses: list[float] = []

    def come_up(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == TRIES - 1:
            server.start()

    with mock_aws():
        login = json.dumps({"username": "postgres", "password": "any"})
        secret = boto3.client("secretsmanager").create_secret(Name="database", SecretString=login)["ARN"]
        url = server.url.replace("postgres@", "")
        try:
            answer(cloudformation.request("Create"), {"DATABASE_URL": url, "DATABASE_SECRET_ARN": secret}, come_up)
        finally:
            server.stop()

    assert cloudformation.answers[0]["Status"] == "SUCCESS"
    assert pauses == [PAUSE_SECONDS] * (TRIES - 1)


def test_a_new_database_that_never_answers_fails_the_deploy_in_time(
    cloudformation: CloudFormation, absent_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    pauses: list[float] = []
    with mock_aws():
        variables = {"DATABASE_URL": absent_url, "DATABASE_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:1:secret:no"}
        answer(cloudformation.request("Create"), variables, pauses.append)

    assert cloudformation.answers[0]["Reason"] == "The database's password could not be read from Secrets Manager"
    assert pauses == [PAUSE_SECONDS] * (TRIES - 1)


# By hand


def migrate_by_command(url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "order_engine.runtime.migrate_database"],
        env={"PYTHONPATH": os.pathsep.join(sys.path), "DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_says_what_it_applied(empty_database_url: str) -> None:
    assert migrate_by_command(empty_database_url).stdout == "".join(f"Applied {m.name}\n" for m in migrations())
    assert migrate_by_command(empty_database_url).stdout == "The schema is up to date\n"


def test_the_command_fails_with_a_sentence(absent_url: str) -> None:
    outcome = migrate_by_command(absent_url)

    assert outcome.returncode == 1
    assert outcome.stderr == "Postgres is unavailable: is the database URL right, and reachable from here?\n"
