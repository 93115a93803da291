"""The command `orders`, as it is installed, run as a person or a script runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from local.stack import Stack
from tests.e2e.clients import Json

ORDERS = Path(sys.executable).with_name("orders")


def beside(stack: Stack, folder: Path) -> Path:
    """`folder`, as if `make run` kept the stack there."""
    (folder / ".local").symlink_to(stack.directory)
    return folder


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Json]:
        """One JSON object each."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def json(self) -> Json:
        (only,) = self.lines
        return only


@dataclass(frozen=True, slots=True)
class Shell:
    """In a folder, with nothing in the environment that names an engine, an account or a configuration."""

    folder: Path

    def orders(self, *arguments: str, **variables: str) -> Answer:
        command = [str(ORDERS), *arguments]
        ended = subprocess.run(
            command, cwd=self.folder, env=self._environment | variables, capture_output=True, text=True, check=False
        )
        return Answer(ended.returncode, ended.stdout, ended.stderr)

    @property
    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ORDERS_"))}
        return kept | {
            "XDG_CONFIG_HOME": str(self.folder),
            "HOME": str(self.folder),
            "AWS_EC2_METADATA_DISABLED": "true",
        }
