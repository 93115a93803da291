"""The client on the deployed stack: every example of its page, and a WebSocket that does not get through at first."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from pathlib import Path
from random import Random
from typing import Any

import pytest

from local.stack import PROJECT, Stack
from order_client import OrderClient
from tests.e2e.commands import ORDERS, beside
from tests.e2e.proxy import FINE, Proxy, Weather

PAGE = PROJECT / "docs" / "client.md"


def examples(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_every_example_in_python_runs(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_URL", stack.endpoints.http)
    said: dict[str, Any] = {}
    for example in examples("python"):
        exec(compile(example, PAGE, "exec"), said)
    assert said["stats"].confirmed >= 1
    assert said["seen"] >= 5


def test_every_example_in_a_shell_runs(stack: Stack, tmp_path: Path) -> None:
    beside(stack, tmp_path)
    variables = os.environ | {"PATH": f"{ORDERS.parent}{os.pathsep}{os.environ['PATH']}"}
    for example in examples("sh"):
        command = ["sh", "-eu", "-c", example]
        ended = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_watch_sees_everything_whose_websocket_does_not_get_through_at_first(stack: Stack) -> None:
    async def scenario() -> list[int]:
        proxy = Proxy(stack.endpoints.aws, Random(1))
        async with proxy.serving():
            proxy.weather = Weather(cut=1)
            sequences = await asyncio.to_thread(watch, proxy)
        assert proxy.troubles
        return sequences

    def watch(proxy: Proxy) -> list[int]:
        url = stack.endpoints.ws.replace(stack.endpoints.aws.removeprefix("http"), proxy.url.removeprefix("http"))
        sequences = []
        with OrderClient(stack.endpoints.http, web_socket_url=url) as client:
            for event in client.watch(client.submit("SOL", "USDC", "1.5").order_id, timeout=60):
                sequences.append(event.sequence)
                proxy.weather = FINE
        return sequences

    assert asyncio.run(scenario()) == [1, 2, 3, 4, 5]
