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
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.sync.client import connect

from local.process import free_port
from local.stack import PROJECT, Endpoints
from tests.e2e.polling import poll

READY_WITHIN_S = 30


@dataclass(frozen=True, slots=True)
class Running:
    process: subprocess.Popen[bytes]
    screen: TextIO
    """What somebody at its terminal reads."""
    endpoints: Path
    opened: Path
    """What the browser was asked to open."""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" >{opened}\n')
    browser.chmod(0o755)
    settings = {
        "LOCAL_DIRECTORY": str(tmp_path / "local"),
        "PORT": str(free_port()),
        "POSTGRES_PORT": str(free_port()),
        "REVERT_RATE": "0",
        "DISPLAY": ":0",
        "BROWSER": str(browser),
    }
    command = [sys.executable, "-m", "local", "run"]
    ours, its = os.openpty()
    with (
        os.fdopen(ours) as screen,
        subprocess.Popen(
            command, cwd=PROJECT, env=os.environ | settings, stdout=its, start_new_session=True
        ) as process,
    ):
        os.close(its)
        try:
            yield Running(process, screen, tmp_path / "local" / "endpoints.json", opened)
        finally:
            process.kill()


def screen_until(screen: TextIO, text: str) -> str:
    seen = ""
    while text not in seen:
        try:
            line = screen.readline()
        except OSError:  # nobody writes to it any more
            line = ""
        assert line, f"ended without {text!r}:\n{seen}"
        seen += line
    return seen


def is_open(url: str) -> bool:
    address = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((address.hostname or "", address.port or 0)) == 0


def test_it_shows_an_order_takes_new_ones_at_once_and_leaves_nothing_behind(running: Running) -> None:
    started = time.monotonic()
    shown = screen_until(running.screen, "Ready.")
    assert time.monotonic() - started < READY_WITHIN_S
    for status in ("pending", "routing", "building", "submitted", "confirmed"):
        assert status in shown

    endpoints = Endpoints(**json.loads(running.endpoints.read_text()))
    page = poll(lambda: running.opened.read_text() if running.opened.exists() else "", until=bool).strip()
    assert httpx.get(page).headers["content-type"].startswith("text/html")
    order = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "1.5"}
    order_id = httpx.post(f"{endpoints.http}/api/orders", json=order, timeout=10).json()["orderId"]
    with connect(f"{endpoints.ws}?orderId={order_id}") as client:
        # With time to spare for a machine that does other things as well.
        assert json.loads(client.recv(timeout=5))["status"] == "pending"
        running.process.send_signal(signal.SIGINT)
        assert "Stopped" in screen_until(running.screen, "Stopped")
    assert running.process.wait(timeout=15) == 0
    assert not running.endpoints.exists()
    assert not is_open(endpoints.aws)
    assert not is_open(endpoints.postgres)
