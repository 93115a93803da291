"""Brings the schema of the history up to date: as a CloudFormation custom resource at deploy, and as a command.

    DATABASE_URL=postgresql://… python -m order_engine.runtime.migrate_database

CloudFormation waits for an answer at a URL of its own, so every way out of here answers, a failure with its reason.
Reasons and logs are made of our own words and the SQL's errors: what a failed connection says may hold the password.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from hashlib import scrypt
from typing import Any
from urllib.request import Request, urlopen

from order_engine.adapters.database import BadDatabaseUrl
from order_engine.adapters.migrations import MigrationFailed, apply_migrations
from order_engine.domain.errors import Unavailable
from order_engine.runtime.database import database_login
from order_engine.runtime.settings import BadSetting, Settings
from order_engine.runtime.telemetry import configure_logging

logger = logging.getLogger(__name__)

RESOURCE_ID = "database-schema"

TRIES = 5
"""At a database that the stack has just made: its proxy takes a while to find it."""

PAUSE_SECONDS = 15


def answer(
    event: Mapping[str, Any],
    variables: Mapping[str, str] = os.environ,
    pause: Callable[[float], object] = time.sleep,
) -> None:
    """Do what CloudFormation asks and tell it how it went. Delete leaves the data alone.

    Raises `OSError` when the answer cannot be delivered: Lambda then tries the whole event again.
    """
    configure_logging(variables)
    try:
        applied = _fulfil(event["RequestType"], variables, pause)
        where = variables.get("DATABASE_URL", "") + variables.get("DATABASE_SECRET_ARN", "")
        data = {"Applied": ", ".join(applied), "Fingerprint": fingerprint(where)}
        outcome: dict[str, Any] = {"Status": "SUCCESS", "Data": data}
    except Exception as error:
        # The outermost edge: an unanswered request would leave the deploy waiting.
        logger.error("schema not up to date", extra={"reason": reason(error)})
        outcome = {"Status": "FAILED", "Reason": reason(error)}
    _put(event["ResponseURL"], outcome | _identity(event))


def reason(error: Exception) -> str:
    """A sentence for whoever deploys, without secrets."""
    match error:
        case Unavailable() if "certificate verify failed" in str(error.__cause__):
            return "The database's certificate is of none of the roots in amazon_roots.pem: is its region among them?"
        case Unavailable(dependency="Secrets Manager"):
            return "The database's password could not be read from Secrets Manager"
        case BadDatabaseUrl() | BadSetting() | MigrationFailed():
            return str(error)
        case Unavailable():
            return "Postgres is unavailable: is the database URL right, and reachable from here?"
        case _:
            return f"The migrations could not be applied ({type(error).__name__})"


def fingerprint(url: str) -> str:
    """Changes with the database URL, and tells nobody what it was: too slow and too short to search passwords by."""
    return scrypt(url.encode(), salt=RESOURCE_ID.encode(), n=2**14, r=8, p=1, dklen=4).hex()


def main() -> None:
    try:
        applied = _apply(os.environ)
    except (BadDatabaseUrl, BadSetting, MigrationFailed, Unavailable) as error:
        sys.exit(reason(error))
    sys.stdout.write("".join(f"Applied {name}\n" for name in applied) or "The schema is up to date\n")


def _fulfil(request_type: str, variables: Mapping[str, str], pause: Callable[[float], object]) -> list[str]:
    if request_type == "Delete":
        return []
    is_own = bool(Settings(variables).optional("DATABASE_SECRET_ARN"))
    applied = _apply_patiently(variables, TRIES if is_own else 1, pause)
    logger.info("schema up to date", extra={"applied": applied})
    return applied


def _apply_patiently(variables: Mapping[str, str], tries: int, pause: Callable[[float], object]) -> list[str]:
    for _ in range(tries - 1):
        try:
            return _apply(variables)
        except Unavailable as error:
            logger.warning("database not there yet", extra={"reason": reason(error)})
            pause(PAUSE_SECONDS)
    return _apply(variables)


def _apply(variables: Mapping[str, str]) -> list[str]:
    settings = Settings(variables)
    return apply_migrations(settings.text("DATABASE_URL"), login=database_login(settings))


def _identity(event: Mapping[str, Any]) -> dict[str, str]:
    # A resource that failed to be created has the id that CloudFormation made up for it.
    named = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    return named | {"PhysicalResourceId": event.get("PhysicalResourceId", RESOURCE_ID)}


def _put(url: str, body: Mapping[str, Any]) -> None:
    # The URL is signed without a content type, so none may be sent; urllib would add one.
    request = Request(url, data=json.dumps(body).encode(), method="PUT", headers={"Content-Type": ""})  # noqa: S310
    with urlopen(request, timeout=10):  # noqa: S310 (the URL comes from CloudFormation)
        pass


if __name__ == "__main__":
    main()
