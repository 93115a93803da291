"""The installed command `orders` on the deployed stack: what it prints, what programs read of it, how it ends."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from local.process import free_port
from local.stack import Stack
from tests.e2e.clients import HAPPY_PATH
from tests.e2e.commands import Answer, Shell, beside

SWAP = ("--in", "SOL", "--out", "USDC", "--amount", "1.5")
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def shell(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """In a folder below the one that keeps the stack."""
    below = beside(stack, tmp_path_factory.mktemp("commands")) / "below"
    below.mkdir()
    return Shell(below)


def done(answer: Answer) -> Answer:
    assert answer.code == 0, answer.out + answer.err
    return answer


def test_an_order_is_submitted_watched_listed_and_shown(shell: Shell) -> None:
    user = f"user-{uuid4()}"
    submitted = done(shell.orders("submit", *SWAP, "--user-id", user, "--slippage-bps", "50"))
    order_id = submitted.out.strip()

    watched = done(shell.orders("watch", order_id)).out.splitlines()
    assert [line.split()[3] for line in watched] == HAPPY_PATH
    seen = done(shell.orders("watch", order_id, "--after", "3", "--json")).lines
    assert [event["sequence"] for event in seen] == [4, 5]

    listed = done(shell.orders("list", "--user-id", user, "--status", "confirmed", "--from", "2026-01-01"))
    assert order_id in listed.out
    assert [order["orderId"] for order in done(shell.orders("list", "--user-id", user, "--json")).lines] == [order_id]
    nobody = done(shell.orders("list", "--user-id", f"user-{uuid4()}"))
    assert (nobody.out, nobody.err) == ("", "There are no such orders\n")

    shown = done(shell.orders("show", order_id)).out
    for fact in (order_id, user, "1.5 SOL", *HAPPY_PATH):
        assert fact in shown
    order = done(shell.orders("show", order_id, "--json")).json
    assert (order["status"], order["slippageBps"], len(order["events"])) == ("confirmed", 50, 5)


def test_an_order_is_watched_where_it_is_submitted_and_placed_once_under_its_key(shell: Shell) -> None:
    key = str(uuid4())
    accepted, *events = done(shell.orders("submit", *SWAP, "--idempotency-key", key, "--watch", "--json")).lines
    assert accepted["status"] == "pending"
    assert [event["status"] for event in events] == HAPPY_PATH
    again = done(shell.orders("submit", *SWAP, "--idempotency-key", key))
    assert again.out.strip() == accepted["orderId"]


def test_all_pages_are_listed_or_as_many_as_wanted(shell: Shell) -> None:
    user = f"user-{uuid4()}"
    done(shell.orders("bench", "-n", "3", "-c", "3"))
    placed = [done(shell.orders("submit", *SWAP, "--user-id", user)).out.strip() for _ in range(3)]
    listed = [order["orderId"] for order in done(shell.orders("list", "--user-id", user, "--all", "--json")).lines]
    assert listed == placed[::-1]
    assert len(done(shell.orders("list", "--limit", "2", "--json")).lines) == 2


def test_a_quote_shows_every_venue_and_the_chosen_one(shell: Shell) -> None:
    shown = done(shell.orders("quote", *SWAP, "--swap-mode", "exactIn")).out
    for fact in ("meteora", "raydium", "chosen", "at least"):
        assert fact in shown
    quote = done(shell.orders("quote", *SWAP, "--json")).json
    assert {offer["dex"] for offer in quote["quotes"]} == {"meteora", "raydium"}


def test_stats_are_shown_and_counted(shell: Shell) -> None:
    done(shell.orders("submit", *SWAP, "--watch"))
    assert "confirmed" in done(shell.orders("stats")).out
    assert len(done(shell.orders("stats", "--json")).json["perMinute"]) == 60


def test_a_bench_says_what_it_measured(shell: Shell) -> None:
    result = done(shell.orders("bench", "-n", "4", "-c", "2", "--json")).json
    assert (result["orders"], result["confirmed"], result["failures"]) == (4, 4, {})
    assert 0 < result["acceptedMs"]["p50"] < result["confirmedMs"]["p50"] <= result["confirmedMs"]["p99"]
    assert result["ordersPerSecond"] == pytest.approx(4 / result["seconds"], abs=0.01)

    failing = shell.orders("bench", "-n", "2", "-c", "2", "--in", "JUP", "--out", "BONK", "--json")
    assert failing.code == 1
    assert failing.json["failures"] == {"NO_ROUTE_FOUND": 2}


def test_no_for_an_answer_ends_with_1_and_a_sentence(shell: Shell) -> None:
    failed = shell.orders("submit", "--in", "JUP", "--out", "BONK", "--amount", "1", "--watch", "--json")
    assert failed.code == 1
    assert failed.lines[-1]["errorCode"] == "NO_ROUTE_FOUND"
    for arguments, sentence in (
        (("submit", "--in", "SOL", "--out", "USDC", "--amount", "-1"), "amount: must be greater than zero\n"),
        (("show", UNKNOWN_ID), f"No order has the id {UNKNOWN_ID}\n"),
        (("watch", UNKNOWN_ID), f"No order has the id {UNKNOWN_ID}\n"),
        (("list", "--status", "happy"), "status: "),
    ):
        refused = shell.orders(*arguments)
        assert (refused.code, refused.out) == (1, "")
        assert refused.err.startswith(sentence)
    for swap in (("--in", "JUP", "--out", "BONK", "--amount", "1"), (*SWAP, "--min-amount-out", "1000000")):
        no_quote = shell.orders("quote", *swap)
        assert (no_quote.code, no_quote.out) == (1, "")


@pytest.mark.parametrize("arguments", [("submit",), ("list", "--from", "soon"), ("dance",), ("stats", "--url", "x")])
def test_a_command_line_that_makes_no_sense_ends_with_2(shell: Shell, arguments: tuple[str, ...]) -> None:
    assert shell.orders(*arguments).code == 2


def test_an_engine_that_does_not_answer_ends_with_3(shell: Shell) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    for command in (("watch", UNKNOWN_ID), ("submit", *SWAP)):
        away = shell.orders(*command, "--url", url)
        assert away.code == 3
        assert away.err.startswith(f"{url} gives no answer: ")
    # What may have been placed can be asked for.
    assert "--idempotency-key" in away.err


def test_the_engine_is_named_by_option_environment_profile_or_stack(stack: Stack, tmp_path: Path) -> None:
    elsewhere, url = Shell(tmp_path), stack.endpoints.http
    nowhere = elsewhere.orders("list")
    assert nowhere.code == 3
    assert "make run" in nowhere.err
    done(elsewhere.orders("list", "--url", url))
    done(elsewhere.orders("submit", *SWAP, "--watch", ORDERS_URL=url))
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "config.toml").write_text(f'[profiles.here]\nurl = "{url}"\nstack = "order-engine"\n')
    done(elsewhere.orders("list", "--profile", "here"))
    account = {
        "AWS_ENDPOINT_URL": stack.endpoints.aws,
        "AWS_DEFAULT_REGION": stack.endpoints.region,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    done(elsewhere.orders("dlq", "list", "--profile", "here", **account))
    unknown = elsewhere.orders("stats", "--stack", "no-such-stack", **account)
    assert unknown.code == 3
    assert "no-such-stack" in unknown.err


def test_the_shell_completes_commands_tokens_and_order_ids(shell: Shell) -> None:
    order_id = done(shell.orders("submit", *SWAP)).out.strip()

    def offered(line: str) -> list[str]:
        words = str(len(line.split(" ")) - 1)
        return shell.orders(_ORDERS_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=words).out.split()

    assert offered("orders su") == ["submit"]
    assert offered("orders quote --in U") == ["USDC", "USDT"]
    assert order_id in offered("orders show ")
    assert offered(f"orders show {order_id[:30]}") == [order_id]
