"""The deployed stack, one for all end-to-end tests, with fault points on and short delays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.stack import Stack
from tests.e2e.stacks import running_stack

PARAMETERS = {
    "QuoteDelayMs": "50",
    "LandingMinMs": "200",
    "LandingMaxMs": "400",
    "RevertRate": "0",
    "FaultPoints": "on",
}


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Its `endpoints` and `outputs` say where things are, its `client("sqs")` is a boto3 client.

    Its `postgres` can be stopped and started, and `deploy(RevertRate="1")` changes parameters.
    """
    with running_stack("tests", PARAMETERS) as running:
        yield running
