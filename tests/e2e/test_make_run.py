"""`make run`, as a person has it: ready within half a minute, quick once warm, and gone after Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.sync.client import connect

from local.process import free_port
from local.stack import PROJECT, Endpoints

READY_WITHIN_S = 30


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    settings = {
        "LOCAL_DIRECTORY": str(tmp_path / "local"),
        "PORT": str(free_port()),
        "POSTGRES_PORT": str(free_port()),
        "REVERT_RATE": "0",
    }
    command = [sys.executable, "-m", "local", "run"]
    with subprocess.Popen(
        command, cwd=PROJECT, env=os.environ | settings, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process, tmp_path / "local" / "endpoints.json"
        finally:
            process.kill()


def output_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"ended without {text!r}:\n{seen}")


def is_open(url: str) -> bool:
    address = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((address.hostname or "", address.port or 0)) == 0


def test_it_shows_an_order_takes_new_ones_at_once_and_leaves_nothing_behind(
    running: tuple[subprocess.Popen[str], Path],
) -> None:
    process, written = running
    started = time.monotonic()
    shown = output_until(process, "Ready.")
    assert time.monotonic() - started < READY_WITHIN_S
    for status in ("pending", "routing", "building", "submitted", "confirmed"):
        assert status in shown

    endpoints = Endpoints(**json.loads(written.read_text()))
    order = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "1.5"}
    order_id = httpx.post(f"{endpoints.http}/api/orders", json=order, timeout=10).json()["orderId"]
    with connect(f"{endpoints.ws}?orderId={order_id}") as client:
        # With time to spare for a machine that does other things as well.
        assert json.loads(client.recv(timeout=5))["status"] == "pending"
        process.send_signal(signal.SIGINT)
        assert "Stopped" in output_until(process, "Stopped")
    assert process.wait(timeout=15) == 0
    assert not written.exists()
    assert not is_open(endpoints.aws)
    assert not is_open(endpoints.postgres)
