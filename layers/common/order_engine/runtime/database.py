"""How a function gets at the database: by a URL with a password in it, or by one without and a secret."""

from __future__ import annotations

from order_engine.adapters.database_login import DatabaseLogin
from order_engine.runtime.settings import Settings


def database_login(settings: Settings) -> DatabaseLogin | None:
    """The login that DATABASE_URL leaves out, if it does. Nothing is read yet."""
    secret_arn = settings.optional("DATABASE_SECRET_ARN")
    return DatabaseLogin(secret_arn) if secret_arn else None
