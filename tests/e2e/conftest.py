"""The deployed stack, one for all end-to-end tests, with fault points on and short delays."""

from __future__ import annotations

from collections.abc import Callable, Iterator

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


@pytest.fixture
def report(request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Says what was measured in the output of the run, whether the test passes or not."""
    terminal = request.config.pluginmanager.get_plugin("terminalreporter")
    assert terminal

    def write(line: str) -> None:
        with capfd.disabled():
            terminal.ensure_newline()
            terminal.write_line(f"{request.node.name}: {line}")

    return write
