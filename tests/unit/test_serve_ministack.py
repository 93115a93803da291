"""The workarounds that the emulator is served with."""

from __future__ import annotations

import pytest
from ministack.core import lambda_runtime

from local.serve_ministack import keep_workers_when_another_fails_to_start


def test_a_worker_that_dies_while_it_starts_fails_its_own_invocation_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(worker: object) -> None:
        raise RuntimeError("Worker process exited immediately")

    monkeypatch.setattr(lambda_runtime.Worker, "_spawn", die)
    monkeypatch.setattr(lambda_runtime.Worker, "invoke", lambda_runtime.Worker.invoke)
    keep_workers_when_another_fails_to_start()

    # Raised, it would end every worker of the function.
    outcome = lambda_runtime.Worker("submit", {}, b"").invoke({}, "request")

    assert outcome == {"status": "error", "error": "Worker process exited immediately"}
