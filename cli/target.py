"""Which stack a command is about: the one that `make run` keeps here, or one on AWS by its name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError

LOCAL_STACK = "order-engine"
ENDPOINTS = Path(__file__).parents[1] / ".local" / "endpoints.json"


class NoTarget(Exception):
    """A sentence that says which stack could not be found, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Target:
    session: boto3.Session
    endpoint_url: str | None
    outputs: dict[str, str]
    """The stack's, as template.yaml names them."""
    http: str
    """Base URL of the HTTP API."""

    def client(self, service: str) -> Any:
        return self.session.client(service, endpoint_url=self.endpoint_url)  # type: ignore[call-overload]


def find_target(stack: str | None, endpoints: Path = ENDPOINTS) -> Target:
    """The stack of that name on AWS, in the environment's account and region; without a name, the local one."""
    if stack is not None:
        session = boto3.Session()
        outputs = _outputs(session, None, stack)
        return Target(session, None, outputs, outputs["HttpUrl"])
    try:
        local = json.loads(endpoints.read_text())
    except FileNotFoundError:
        raise NoTarget("No local stack is running: `make run` starts one, and --stack names one on AWS") from None
    # The emulator takes any credentials.
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=local["region"])  # noqa: S106
    return Target(session, local["aws"], _outputs(session, local["aws"], LOCAL_STACK), local["http"])


def _outputs(session: boto3.Session, endpoint_url: str | None, stack: str) -> dict[str, str]:
    formation = session.client("cloudformation", endpoint_url=endpoint_url)
    try:
        found = formation.describe_stacks(StackName=stack)["Stacks"][0]
    except formation.exceptions.ClientError as error:
        raise NoTarget(f"There is no stack {stack}: {error}") from error
    except BotoCoreError as error:
        raise NoTarget(f"The stack {stack} cannot be asked: {error}") from error
    return {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}
