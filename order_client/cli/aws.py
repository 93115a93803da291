"""What is asked of AWS itself, or of the emulator: where things of a stack are, and its queues."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from order_client.cli.target import NoTarget, StackName

# Somebody waits: what is away is not asked for as long as the SDK would.
_CONFIG = Config(connect_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})


@dataclass(frozen=True, slots=True)
class Aws:
    """A stack that is there. `outputs` are those that template.yaml names."""

    session: boto3.Session
    emulator: str | None
    outputs: dict[str, str]

    def client(self, service: str) -> Any:
        return _client(self.session, service, self.emulator)


def find_stack(stack: StackName) -> Aws:
    """Raises `NoTarget`."""
    with in_a_sentence(f"The stack {stack.name} cannot be asked"):
        session = _session(stack)
        formation = _client(session, "cloudformation", stack.emulator)
        (found,) = formation.describe_stacks(StackName=stack.name)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
    missing = {"HttpUrl", "WebSocketUrl", "OrderQueueUrl", "OrderDeadLetterQueueUrl"} - outputs.keys()
    if missing:
        raise NoTarget(f"The stack {stack.name} is no order engine: it has no output {', '.join(sorted(missing))}")
    return Aws(session, stack.emulator, outputs)


@contextmanager
def in_a_sentence(what: str) -> Iterator[None]:
    """Raises `NoTarget` for what AWS refuses or does not answer."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise NoTarget(f"{what}: {error}") from error


def _client(session: boto3.Session, service: str, emulator: str | None) -> Any:
    return session.client(service, endpoint_url=emulator, config=_CONFIG)  # type: ignore[call-overload]


def _session(stack: StackName) -> boto3.Session:
    if stack.emulator is None:
        return boto3.Session(region_name=stack.region)
    # The emulator takes any credentials.
    return boto3.Session(
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106
        region_name=stack.region,
    )
