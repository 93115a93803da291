"""What the custom resource says of the database to whom it tells that its schema is up to date."""

from __future__ import annotations

from order_engine.runtime.migrate_database import fingerprint

URL = "postgresql://engine:secret@database.example.com:5432/orders"


def test_a_fingerprint_changes_with_the_password_and_stays_with_the_url() -> None:
    assert fingerprint(URL) == fingerprint(URL)
    assert fingerprint(URL.replace("secret", "secrets")) != fingerprint(URL)


def test_a_fingerprint_is_too_short_to_tell_passwords_apart_by() -> None:
    assert len(fingerprint(URL)) == 8
