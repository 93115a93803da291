"""Local stacks to measure, as they are or with the counter in their functions."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.dialects import DIALECTS
from benchmarks.load import Target
from local.process import free_port
from local.stack import PROJECT, Stack, StackSettings
from local.template import Rendered

COUNTER = Path(__file__).parent / "counter"

DIALECT = "token-in-out"
"""The one that most engines of the field speak: POST, then a socket for the order."""

Line = dict[str, Any]
AnyStack = TypeVar("AnyStack", bound=Stack)


class CountedStack(Stack):
    """A stack whose functions count what they do, without knowing it."""

    @property
    def counter_file(self) -> Path:
        return self.directory / "counted.jsonl"

    def render(self, parameters: Mapping[str, str]) -> Rendered:
        rendered = super().render(parameters)
        for name, resource in rendered.body["Resources"].items():
            if resource["Type"] == "AWS::Lambda::Function":
                resource["Properties"]["Environment"]["Variables"] |= {
                    "PYTHONPATH": str(COUNTER),
                    "COUNTER_FILE": str(self.counter_file),
                    "COUNTER_FUNCTION": name,
                }
        return rendered

    def lines(self, since: int = 0) -> list[Line]:
        """What was counted after the file had this size, with `target` named for what it is to the engine."""
        names = {
            self.outputs["OrdersTableName"]: "orders",
            self.outputs["LedgerTableName"]: "chain",
            self.outputs["OrderQueueUrl"]: "order queue",
            self.outputs["StatusQueueUrl"]: "status queue",
        }
        with self.counter_file.open("rb") as file:
            file.seek(since)
            lines = [json.loads(line) for line in file]
        return [line | {"target": names.get(line.get("target"), "sockets")} for line in lines]


@contextmanager
def running(kind: type[AnyStack], parameters: Mapping[str, str]) -> Iterator[AnyStack]:
    """Gone afterwards. No transaction reverts unless the parameters say so: a retry would be measured as slowness."""
    directory = PROJECT / ".local" / f"benchmark-{os.getpid()}"
    settings = StackSettings(directory, {"RevertRate": "0", **parameters}, free_port(), free_port())
    try:
        with kind(settings, report=lambda _: None) as stack:
            yield stack
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def target_of(stack: Stack) -> Target:
    return Target(stack.endpoints.http, stack.endpoints.ws, DIALECTS[DIALECT])
