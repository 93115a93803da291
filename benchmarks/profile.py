"""Where the functions' processor time goes: their workers are sampled from outside while they execute orders."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import Progress
from rich.table import Table

from benchmarks.counted import FUNCTIONS
from benchmarks.dialects import Json
from benchmarks.load import confirmed, place_orders
from benchmarks.stacks import running, target_of
from local.process import StackError
from local.stack import Stack
from local.workers import cpu_seconds, workers

ORDERS, QUICK_ORDERS = 200, 4
AT_ONCE = 50

SAMPLES_A_SECOND = 100
"""Of each worker. A sample counts when some thread holds the interpreter, so waiting counts as nothing."""

_PY_SPY = Path(sys.executable).with_name("py-spy")
_ATTACHED_WITHIN_SECONDS = 20

PARTS = {
    "calls of the AWS SDK": {"boto3", "botocore", "urllib3", "jmespath"},
    "event loop and threads": {"asyncio", "concurrent", "threading", "selectors", "contextvars"},
    "FastAPI, Mangum, pydantic": {"fastapi", "starlette", "mangum", "pydantic", "anyio"},
    "logs and metrics": {"aws_lambda_powertools", "logging"},
    "psycopg": {"psycopg", "psycopg_binary"},
    "order_engine": {"order_engine"},
    "the emulator's worker": {"_worker"},
}
"""What a sample is counted under, by the modules in it."""

_FILE = re.compile(r"\((?P<path>.*):\d+\)$")
_MODULE = re.compile(
    r"/site-packages/(?P<library>\w+)|/(?P<own>order_engine)/|/(?P<worker>_worker)\.py"
    r"|/python3\.\d+/(?!site-packages/)(?P<standard>\w+)"
)


def measure(progress: Progress, *, quick: bool = False) -> Json:
    orders = QUICK_ORDERS if quick else ORDERS
    task = progress.add_task("profile", total=orders)
    with running(Stack, {"OrdersPerWorker": "10"}) as stack:
        target = target_of(stack)
        # Until every worker is there and has imported all that it ever does.
        asyncio.run(place_orders(target, min(2 * AT_ONCE, orders), AT_ONCE))
        with _sampling(stack) as outputs:
            before = _cpu_seconds(stack)
            confirmed(asyncio.run(place_orders(target, orders, AT_ONCE, lambda: progress.advance(task))))
            used = {name: seconds - before[name] for name, seconds in _cpu_seconds(stack).items()}
        samples = {name: parts_of(_lines(files)) for name, files in outputs.items()}
    return {
        "orders": orders,
        "atOnce": AT_ONCE,
        "cpuMsAnOrder": {name: _shared(used[name] * 1000 / orders, each) for name, each in samples.items()},
    }


def _cpu_seconds(stack: Stack) -> dict[str, float]:
    return {name: sum(map(cpu_seconds, workers(stack, name))) for name in FUNCTIONS}


def _shared(total: float, samples: Counter[str]) -> dict[str, float]:
    """The total by part. Samples alone would not tell it: whoever holds the interpreter may wait for a core."""
    return {part: total * count / samples.total() for part, count in samples.items()}


def parts_of(lines: Iterable[str]) -> Counter[str]:
    """Samples by part, from lines of py-spy's raw format: frames from the outermost on, and how often they were seen.

    A call of the SDK is all of the SDK's, also what json takes on its behalf; else the innermost part decides.
    """
    counted: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        inward = [part for frame in stack.split(";") if (part := _part(frame))]
        sdk = next(iter(PARTS))
        counted[sdk if sdk in inward else inward[-1] if inward else "other"] += int(count)
    return counted


def _part(frame: str) -> str | None:
    file = _FILE.search(frame)
    module = _MODULE.search(file["path"]) if file else None
    name = module[module.lastgroup or 0] if module else ""
    return next((part for part, modules in PARTS.items() if name in modules), None)


@contextmanager
def _sampling(stack: Stack) -> Iterator[dict[str, list[Path]]]:
    """By function, the files that are written when the context ends."""
    found = [(name, pid) for name in FUNCTIONS for pid in workers(stack, name)]
    outputs: dict[str, list[Path]] = {name: [] for name in FUNCTIONS}
    for name, pid in found:
        outputs[name].append(stack.directory / f"{pid}.samples")
    files = [file for each in outputs.values() for file in each]
    samplers = [_sampler(pid, file) for (_, pid), file in zip(found, files, strict=True)]
    try:
        yield outputs
    finally:
        for sampler in samplers:
            sampler.send_signal(signal.SIGINT)
        for sampler in samplers:
            sampler.wait(_ATTACHED_WITHIN_SECONDS)


def _sampler(pid: int, file: Path) -> subprocess.Popen[bytes]:
    """Returns when it is sampling. Raises `StackError` when it may not."""
    log = file.with_suffix(".log")
    options = ["--gil", "--nonblocking", "--full-filenames", "--function", "--format", "raw"]
    rate = str(SAMPLES_A_SECOND)
    command = [str(_PY_SPY), "record", *options, "--rate", rate, "--pid", str(pid), "--output", str(file)]
    with log.open("wb") as said:
        sampler = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)  # noqa: S603
    deadline = time.monotonic() + _ATTACHED_WITHIN_SECONDS
    while "Sampling process" not in log.read_text():
        if sampler.poll() is not None or time.monotonic() > deadline:
            raise StackError(f"A worker could not be sampled: {log.read_text().strip()}")
        time.sleep(0.05)
    return sampler


def _lines(files: Iterable[Path]) -> Iterator[str]:
    for file in files:
        # There is none of a worker that has had nothing to do.
        if file.exists():
            yield from file.read_text().splitlines()


def tables(result: Json) -> list[Table]:
    table = Table(
        "part", *FUNCTIONS, "all",
        title=f"Where the processor time of an order goes, ms, {result['orders']} orders, {result['atOnce']} at once",
        caption="What the processes used, shared out by samples in which a thread held the interpreter",
    )  # fmt: skip
    by_function = result["cpuMsAnOrder"]
    for part in [*PARTS, "other"]:
        row = [by_function[name].get(part, 0.0) for name in FUNCTIONS]
        table.add_row(part, *(f"{ms:.1f}" for ms in [*row, sum(row)]))
    sums = [sum(by_function[name].values()) for name in FUNCTIONS]
    table.add_section()
    table.add_row("all", *(f"{ms:.1f}" for ms in [*sums, sum(sums)]))
    return [table]
