"""Which stack a command is about, and what is said where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.target import NoTarget, find_target
from local.process import free_port


def test_without_a_local_stack_it_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(NoTarget, match="make run"):
        find_target(None, tmp_path / "endpoints.json")


def test_a_local_stack_that_was_killed_is_said_not_to_answer(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    endpoints = tmp_path / "endpoints.json"
    endpoints.write_text(json.dumps({"region": "us-east-1", "aws": url, "http": url}))
    with pytest.raises(NoTarget, match="cannot be asked"):
        find_target(None, endpoints)
