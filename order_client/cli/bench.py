"""`orders bench`: how fast an engine is, as its clients see it."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.progress import track
from rich.table import Table

from order_client.cli.completion import tokens
from order_client.cli.options import Engine
from order_client.cli.output import err, out, print_json
from order_client.errors import ClientError, Problem
from order_client.models import CONFIRMED

if TYPE_CHECKING:
    from order_client.client import OrderClient

_SHARES = (50, 95, 99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Of one order, in seconds from before it was sent. `failure` is a code, empty for a confirmed order."""

    accepted_s: float | None = None
    ended_s: float | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What to place, and how."""

    orders: Annotated[int, typer.Option("--orders", "-n", help="How many to place.", min=1)] = 50
    concurrency: Annotated[int, typer.Option("--concurrency", "-c", help="How many at once.", min=1, max=100)] = 10
    token_in: Annotated[str, typer.Option("--token-in", "--in", autocompletion=tokens)] = "SOL"  # noqa: S105 (a coin)
    token_out: Annotated[str, typer.Option("--token-out", "--out", autocompletion=tokens)] = "USDC"  # noqa: S105
    amount: Annotated[str, typer.Option(help="Whole tokens, of what is given.")] = "1.5"
    timeout: Annotated[float, typer.Option(help="Seconds to wait for one order's end.", min=1)] = 120


def bench(load: Load, engine: Engine) -> None:
    """Place orders and measure, as a client on this machine sees it. They are real orders, each executed.

    Accepted is from sending an order to the engine's answer, confirmed from sending it to the last event, by a
    WebSocket of its own. What had to be tried again is in these times.
    """
    with engine.client() as client:
        started = time.perf_counter()
        samples = list(_measured(client, load))
        seconds = time.perf_counter() - started
    result = summary(samples, load.concurrency, seconds)
    print_json(result) if engine.json else out.print(_view(result))
    if result["failures"]:
        raise typer.Exit(1)


def summary(samples: Sequence[Sample], concurrency: int, seconds: float) -> dict[str, Any]:
    """Times are in milliseconds; those to `confirmed` of confirmed orders only, as a failure may be quick."""
    confirmed = [sample.ended_s for sample in samples if sample.ended_s is not None and not sample.failure]
    accepted = [sample.accepted_s for sample in samples if sample.accepted_s is not None]
    return {
        "orders": len(samples),
        "concurrency": concurrency,
        "seconds": round(seconds, 3),
        "confirmed": len(confirmed),
        "ordersPerSecond": round(len(confirmed) / seconds, 2),
        "acceptedMs": percentiles(accepted),
        "confirmedMs": percentiles(confirmed),
        "failures": dict(Counter(sample.failure for sample in samples if sample.failure).most_common()),
    }


def percentiles(seconds: Sequence[float]) -> dict[str, float] | None:
    """In milliseconds, interpolated between the two nearest values; None for no values."""
    if not seconds:
        return None
    # Python 3.11 wants two values at least.
    values = seconds if len(seconds) > 1 else [seconds[0]] * 2
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {f"p{share}": round(cuts[share - 1] * 1000, 1) for share in _SHARES}


def _measured(client: OrderClient, load: Load) -> Iterator[Sample]:
    with ThreadPoolExecutor(load.concurrency) as threads:
        try:
            running = [threads.submit(_sample, client, load) for _ in range(load.orders)]
            ended = track(
                as_completed(running), "Placing orders", load.orders, console=err, disable=not err.is_terminal
            )
            yield from (future.result() for future in ended)
        finally:
            # Only an interrupt leaves any.
            threads.shutdown(wait=False, cancel_futures=True)


def _sample(client: OrderClient, load: Load) -> Sample:
    started = time.perf_counter()
    accepted_s = None
    try:
        accepted = client.submit(load.token_in, load.token_out, load.amount)
        accepted_s = time.perf_counter() - started
        *_, last = client.watch(accepted.order_id, timeout=load.timeout)
    except ClientError as error:
        return Sample(accepted_s=accepted_s, failure=error.code if isinstance(error, Problem) else type(error).__name__)
    failure = "" if last.status == CONFIRMED else last.error_code or last.status
    return Sample(accepted_s=accepted_s, ended_s=time.perf_counter() - started, failure=failure)


def _view(result: dict[str, Any]) -> RenderableType:
    speed = (
        f"{result['confirmed']} of {result['orders']} orders confirmed in {result['seconds']:.1f} s, "
        f"{result['concurrency']} at once: {result['ordersPerSecond']:.1f} orders/s"
    )
    times = Table("ms", *(f"p{share}" for share in _SHARES), box=None, pad_edge=False)
    for name in ("accepted", "confirmed"):
        times.add_row(name, *(f"{value:.0f}" for value in (result[f"{name}Ms"] or {}).values()))
    failures = [f"failed: {count} {code}" for code, count in result["failures"].items()]
    return Group(speed, times, *failures)
