"""The operator's commands on the deployed stack: look at failed orders, try a replay, do it, and do it twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from local.stack import Stack
from tests.e2e.clients import Client, run, swaps_of, until
from tests.e2e.commands import Answer, Shell, beside


@pytest.fixture
def shell(stack: Stack, tmp_path: Path) -> Shell:
    return Shell(beside(stack, tmp_path))


def dlq(shell: Shell, *arguments: str) -> Answer:
    answer = shell.orders("dlq", *arguments)
    assert answer.code == 0, answer.err
    return answer


def is_listed(shell: Shell, order_id: str) -> bool:
    return order_id in dlq(shell, "list").out


def exhausted_order(stack: Stack, shell: Shell) -> str:
    async def scenario(client: Client) -> str:
        order_id = await client.submit_with_faults({"execute_order.chain.send": ("revert", 3)})
        assert (await client.outcome(order_id, seconds=90))["status"] == "failed"
        await until(lambda: asyncio.to_thread(is_listed, shell, order_id), 30, f"{order_id} among the dead letters")
        return order_id

    return str(run(stack, scenario))


def test_a_failed_order_is_listed_shown_and_replayed(stack: Stack, shell: Shell) -> None:
    order_id = exhausted_order(stack, shell)
    listed = next(line for line in dlq(shell, "list").out.splitlines() if order_id in line)
    assert "failed" in listed
    assert "Slippage" in listed
    assert "ATTEMPTS_EXHAUSTED" in dlq(shell, "show", order_id).out
    (letter,) = (letter for letter in dlq(shell, "list", "--json").lines if letter["orderId"] == order_id)
    assert letter["status"] == "failed"
    shown = dlq(shell, "show", order_id, "--json").json
    assert shown["order"]["errorCode"] == "ATTEMPTS_EXHAUSTED"
    assert [kept["orderId"] for kept in shown["deadLetters"]] == [order_id]

    assert order_id in dlq(shell, "replay", order_id, "--dry-run").out
    # Looking and trying have left it where it was.
    assert is_listed(shell, order_id)
    replayed, ended = dlq(shell, "replay", order_id, "--watch", "--json").lines
    assert replayed == {"orderId": order_id, "replayed": True}
    assert (ended["orderId"], ended["status"]) == (order_id, "confirmed")
    assert not is_listed(shell, order_id)
    assert len(swaps_of(stack, order_id)) == 1

    again = shell.orders("dlq", "replay", order_id)
    assert (again.code, again.err) == (1, f"No dead letter is of order {order_id}\n")


def test_what_is_not_there_is_said_and_fails(stack: Stack, shell: Shell) -> None:
    unknown = shell.orders("dlq", "show", "no-such-order")
    assert (unknown.code, unknown.err) == (1, "No dead letter is of order no-such-order\n")
    nowhere = Shell(Path("/")).orders("dlq", "list")
    assert nowhere.code == 3
    assert "make run" in nowhere.err
    assert shell.orders("dlq", "dance").code == 2
    nameless = shell.orders("dlq", "list", "--url", stack.endpoints.http)
    assert nameless.code == 2
    assert "--stack" in nameless.err
