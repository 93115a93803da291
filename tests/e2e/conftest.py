"""The deployed stack, one for all end-to-end tests, with fault points on and short delays."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from local.process import free_port
from local.stack import PROJECT, Stack, StackSettings

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
    directory = PROJECT / ".local" / f"tests-{os.getpid()}"
    settings = StackSettings(directory, PARAMETERS, port=free_port(), postgres_port=free_port())
    try:
        with Stack(settings) as running:
            yield running
    finally:
        # What the emulator and the functions said, for whoever has to find out why a test failed.
        shutil.copy(directory / "emulator.log", PROJECT / ".local" / "tests.log")
        shutil.rmtree(directory)
