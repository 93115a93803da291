from __future__ import annotations

import os
from collections.abc import Callable

import pytest


@pytest.fixture
def aws_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's: whatever is in the environment, a test that means moto cannot reach anything else."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Says what was measured at the end of the run, whether the test passes or not."""

    def write(line: str) -> None:
        request.node.user_properties.append(("measured", line))

    return write


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for reports in (terminalreporter.getreports("passed"), terminalreporter.getreports("failed")):
        for test in reports:
            for name, line in test.user_properties:
                if name == "measured":
                    terminalreporter.write_line(f"{test.nodeid.rpartition('::')[2]}: {line}")
