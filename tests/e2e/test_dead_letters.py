"""The operator's commands on the deployed stack: look at failed orders, try a replay, do it, and do it twice."""

from __future__ import annotations

import asyncio

import pytest
from typer.testing import CliRunner

from cli import target
from cli.__main__ import app, main
from local.stack import Stack
from tests.e2e.clients import Client, run, swaps_of, until


@pytest.fixture(autouse=True)
def on_the_stack(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if `make run` kept it."""
    monkeypatch.setattr(target.find_target, "__defaults__", (stack.directory / "endpoints.json",))


def dlq(*arguments: str) -> str:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["dlq", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def is_listed(order_id: str) -> bool:
    return order_id in dlq("list")


def exhausted_order(stack: Stack) -> str:
    async def scenario(client: Client) -> str:
        order_id = await client.submit_with_faults({"execute_order.chain.send": ("revert", 3)})
        assert (await client.outcome(order_id, seconds=90))["status"] == "failed"
        await until(
            lambda: asyncio.to_thread(lambda: order_id in dlq("list")), 30, f"{order_id} among the dead letters"
        )
        return order_id

    return str(run(stack, scenario))


def test_a_failed_order_is_listed_shown_and_replayed(stack: Stack) -> None:
    order_id = exhausted_order(stack)
    listed = next(line for line in dlq("list").splitlines() if order_id in line)
    assert "failed" in listed
    assert "Slippage" in listed
    assert "ATTEMPTS_EXHAUSTED" in dlq("show", order_id)

    assert order_id in dlq("replay", order_id, "--dry-run")
    assert order_id in dlq("list")
    assert order_id in dlq("replay", order_id)
    assert order_id not in dlq("list")

    async def confirmed(client: Client) -> str:
        await client.reaches(order_id, "confirmed", seconds=60)
        return str((await client.outcome(order_id))["status"])

    assert run(stack, confirmed) == "confirmed"
    assert len(swaps_of(stack, order_id)) == 1


def test_looking_leaves_every_letter_where_it_is(stack: Stack) -> None:
    order_id = exhausted_order(stack)
    for _ in range(3):
        assert order_id in dlq("list")


def test_what_is_not_there_is_said_and_fails(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["cli", "dlq", "show", "no-such-order"])
    assert exit_status() == 1
    assert "no-such-order" in capsys.readouterr().err
    monkeypatch.setattr(target.find_target, "__defaults__", (stack.directory / "elsewhere.json",))
    assert exit_status() == 1
    assert "make run" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["cli", "dlq", "dance"])
    assert exit_status() == 2


def exit_status() -> object:
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code
