"""User and password of a database whose password RDS made and keeps in Secrets Manager."""

from __future__ import annotations

import json
import logging
from typing import Any

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from order_engine.adapters.aws import client
from order_engine.domain.errors import Unavailable

logger = logging.getLogger(__name__)

Login = dict[str, str]
"""`user` and `password`, as libpq calls them."""


class DatabaseLogin:
    """Read once, and again when told that it is refused: RDS changes the password every week.

    For one thread.
    """

    def __init__(self, secret_arn: str, secrets: Any = None) -> None:
        self._secret_arn = secret_arn
        self._secrets = secrets
        self._login: Login | None = None

    def read(self) -> Login:
        """Raises `Unavailable` when Secrets Manager is away, or refuses this function."""
        if self._login is None:
            self._login = self._fetch()
        return self._login

    def read_again(self) -> Login:
        """The same past what is remembered."""
        self._login = None
        return self.read()

    def _fetch(self) -> Login:
        # Only now, because a cold start is mostly for somebody who needs no database.
        self._secrets = self._secrets or client("secretsmanager")
        try:
            secret = json.loads(self._secrets.get_secret_value(SecretId=self._secret_arn)["SecretString"])
        except (ClientError, ConnectionError, HTTPClientError) as error:
            logger.warning("secret not read", extra={"error": str(error)})
            raise Unavailable("Secrets Manager") from error
        return {"user": secret["username"], "password": secret["password"]}
