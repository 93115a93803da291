"""Settings come from environment variables, once, at init. A missing or malformed one stops the function there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

_THIS_MACHINE = frozenset({"127.0.0.1", "localhost", "::1", "host.docker.internal"})
"""The last one is what a container, as `sam local` runs functions in, calls it."""


class BadSetting(Exception):
    """Names the variable that is missing or makes no sense."""


@dataclass(frozen=True, slots=True)
class Settings:
    variables: Mapping[str, str]

    def text(self, name: str) -> str:
        value = self.variables.get(name, "")
        if not value:
            raise BadSetting(f"environment variable {name} is not set")
        return value

    def optional(self, name: str) -> str:
        """Empty where it is not set."""
        return self.variables.get(name, "")

    def integer(self, name: str) -> int:
        try:
            return int(self.text(name))
        except ValueError:
            raise BadSetting(f"environment variable {name} is not a whole number") from None

    def rate(self, name: str) -> float:
        """A probability, 0 to 1."""
        try:
            rate = float(self.text(name))
        except ValueError:
            raise BadSetting(f"environment variable {name} is not a number") from None
        if not 0 <= rate <= 1:
            raise BadSetting(f"environment variable {name} is not between 0 and 1")
        return rate

    @property
    def has_fault_points(self) -> bool:
        """Only where AWS is an emulator on this machine: a deployed stack cannot be told to fail."""
        host = urlsplit(self.variables.get("AWS_ENDPOINT_URL", "")).hostname or ""
        return self.variables.get("FAULT_POINTS") == "on" and host in _THIS_MACHINE
