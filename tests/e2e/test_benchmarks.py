"""Every measure is produced, on real stacks; and the load generator speaks to ours in every dialect it knows."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.dialects import DIALECTS
from benchmarks.load import Seen, Target, confirmed, place_orders
from local.stack import PROJECT, Stack
from tests.e2e.clients import HAPPY_PATH
from tests.e2e.workers import needs_proc


@needs_proc
def test_a_quick_run_produces_every_measure(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "run", "--quick", "--out", str(tmp_path)]
    ran = subprocess.run(command, check=False, cwd=PROJECT, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert (tmp_path / "results.svg").read_text().lstrip().startswith("<?xml")
    assert results["machine"]["cores"] >= 1
    assert_cost(results["cost"])
    assert_latency(results["latency"])
    (case,) = results["throughput"]["cases"]
    assert case["ordersPerSecond"] > 0
    starts = {each["name"]: each for each in results["cold-start"]["starts"]}
    assert starts["boto3 and one client"]["ratio"] == 1
    assert starts["submit_order"]["wallMs"] > 0
    assert "boto3" in results["cold-start"]["modules"]["submit_order"]["cumulative"]


@needs_proc
@pytest.mark.skipif(os.geteuid() != 0, reason="not everybody may look into processes")
def test_a_profile_shares_out_what_the_functions_used(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "run", "--only", "profile", "--quick", "--out", str(tmp_path)]
    ran = subprocess.run(command, check=False, cwd=PROJECT, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    shares = json.loads((tmp_path / "results.json").read_text())["profile"]["cpuMsAnOrder"]
    assert shares["ExecuteOrder"]["calls of the AWS SDK"] > 0, shares


def assert_cost(result: dict[str, Any]) -> None:
    for load in result["loads"]:
        assert all(each["ownCpuMs"] > 0 and each["peakMemoryMb"] > 20 for each in load["functions"].values())
        assert load["functions"]["ExecuteOrder"]["cpuMs"] > 0
        assert load["functions"]["SubmitOrder"]["invocations"] == 1
        calls = {(each["function"], each["operation"], each["target"]): each["calls"] for each in load["calls"]}
        assert calls["SubmitOrder", "PutItem", "orders"] == 1
        assert calls["WsNotify", "PostToConnection", "sockets"] == len(HAPPY_PATH)
        assert ("ExecuteOrder", "BatchGetItem", "chain") in calls
        dollars = {row["what"]: row["dollars"] for row in load["dollarsPerMillionOrders"]}
        assert dollars["HTTP API: requests"] == pytest.approx(1)
        assert all(dollars[what] > 0 for what in dollars), dollars


def assert_latency(result: dict[str, Any]) -> None:
    for load in result["loads"]:
        assert 0 < load["overheadMs"]["p50"] < load["totalMs"]["p50"]
        assert load["configuredDelaysMs"]["p50"] > 2_200
        assert 0 < load["pushMs"]["confirmed"]["p50"] < load["overheadMs"]["p99"]
    assert {step["who"] for step in result["loads"][0]["steps"]} == {
        "HTTP API", "submit_order", "order queue", "execute_order", "status queue", "ws_notify", "WebSocket API",
    }  # fmt: skip


def test_orders_of_every_dialect_are_watched_to_their_confirmation(stack: Stack) -> None:
    async def scenario() -> list[list[Seen]]:
        targets = [Target(stack.endpoints.http, stack.endpoints.ws, dialect) for dialect in DIALECTS.values()]
        return await asyncio.gather(*(place_orders(target, 2, at_once=2) for target in targets))

    for seen in asyncio.run(scenario()):
        for order in confirmed(seen):
            assert [frame["status"] for _, frame in order.frames] == HAPPY_PATH
