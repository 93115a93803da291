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
def report(request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Says what was measured in the output of the run, whether the test passes or not."""
    terminal = request.config.pluginmanager.get_plugin("terminalreporter")
    assert terminal

    def write(line: str) -> None:
        with capfd.disabled():
            terminal.ensure_newline()
            terminal.write_line(f"{request.node.name}: {line}")

    return write
