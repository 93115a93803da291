"""How long each function takes from a fresh interpreter to its first event, and which modules take most of that."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median

from rich.progress import Progress
from rich.table import Table

from benchmarks.dialects import Json
from local.stack import PROJECT

REFERENCE = "boto3 and one client"
FUNCTIONS = ("ws_connect", "ws_notify", "execute_order", "submit_order", "watch_orders")

ROUNDS, QUICK_ROUNDS = 21, 1

_LAYER = PROJECT / "layers/common"
_BODIES = {REFERENCE: "import boto3; boto3.client('dynamodb')", **dict.fromkeys(FUNCTIONS, "import app")}
# Without the interpreter's own start, which is Lambda's: it would make every ratio look better.
_TIMED = """
import time
wall, cpu = time.perf_counter(), time.process_time()
{body}
print(time.perf_counter() - wall, time.process_time() - cpu)
"""

# All that any of the functions is set by. Nothing is called at init, so nothing has to be there.
_SETTINGS = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "ORDERS_TABLE": "orders",
    "LEDGER_TABLE": "ledger",
    "ORDER_QUEUE_URL": "http://127.0.0.1:9/orders",
    "STATUS_QUEUE_URL": "http://127.0.0.1:9/statuses",
    "ORDER_DEAD_LETTER_QUEUE_URL": "http://127.0.0.1:9/dead-letters",
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing",
    "WEBSOCKET_ENDPOINT": "http://127.0.0.1:9/live",
    "MARKET_SEED": "1",
    "QUOTE_DELAY_MS": "200",
    "LANDING_MIN_MS": "2000",
    "LANDING_MAX_MS": "3000",
    "REVERT_RATE": "0",
    "DROP_RATE": "0",
    "FAULT_POINTS": "off",
}


def measure(progress: Progress, *, quick: bool = False) -> Json:
    rounds = QUICK_ROUNDS if quick else ROUNDS
    task = progress.add_task("cold start", total=rounds * len(_BODIES))
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in _BODIES}
    for name, body in _BODIES.items():
        # Compiled and in the file cache, as a layer's modules are on Lambda.
        _python(name, body)
    for _ in range(rounds):
        # In turn, so that whatever else the machine does, it does to all of them.
        for name, body in _BODIES.items():
            wall, cpu = _python(name, _TIMED.format(body=body)).stdout.split()
            times[name].append((float(wall), float(cpu)))
            progress.advance(task)
    wall_ms, cpu_ms = ({name: median(each[i] for each in times[name]) * 1000 for name in times} for i in (0, 1))
    return {
        "rounds": rounds,
        "starts": [
            {
                "name": name,
                "wallMs": wall_ms[name],
                "cpuMs": cpu_ms[name],
                "ratio": median(
                    own[0] / reference[0] for own, reference in zip(times[name], times[REFERENCE], strict=True)
                ),
                "cpuRatio": cpu_ms[name] / cpu_ms[REFERENCE],
            }
            for name in _BODIES
        ],
        "modules": {name: _modules(name) for name in _BODIES},
    }


def _python(name: str, code: str, *options: str) -> subprocess.CompletedProcess[str]:
    paths = [] if name == REFERENCE else [PROJECT / "functions" / name, _LAYER]
    kept = {variable: os.environ[variable] for variable in ("PATH", "HOME") if variable in os.environ}
    return subprocess.run(  # noqa: S603 (our own code)
        [sys.executable, *options, "-c", code],
        env=kept | _SETTINGS | {"PYTHONPATH": os.pathsep.join(map(str, paths))},
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )


def _modules(name: str) -> Json:
    """Milliseconds of import: by package all its modules' own, and the modules that take most with what they import."""
    own: defaultdict[str, float] = defaultdict(float)
    cumulative: dict[str, float] = {}
    for line in _python(name, _BODIES[name], "-X", "importtime").stderr.splitlines():
        fields = line.removeprefix("import time:").split("|")
        if len(fields) == 3 and fields[0].strip().isdigit():
            module = fields[2].strip()
            own[module.split(".")[0]] += int(fields[0]) / 1000
            cumulative[module] = int(fields[1]) / 1000
    cumulative.pop("app", None)
    return {"packages": _top(own), "cumulative": _top(cumulative)}


def _top(times: dict[str, float], most: int = 10) -> dict[str, float]:
    return dict(sorted(times.items(), key=lambda item: -item[1])[:most])


def tables(result: Json) -> list[Table]:
    starts = Table(
        "init of", "ms", "CPU ms", "ratio", "CPU ratio",
        title=f"Cold start: import and init in a fresh interpreter, median of {result['rounds']}",
        caption=f"Ratios to {REFERENCE}, started in turn with the functions",
    )  # fmt: skip
    for each in result["starts"]:
        starts.add_row(each["name"], *(f"{each[key]:.0f}" for key in ("wallMs", "cpuMs")),
                       *(f"{each[key]:.2f}" for key in ("ratio", "cpuRatio")))  # fmt: skip
    modules = Table(
        "init of", "packages, by what their modules take (ms)", "modules, with all that they import (ms)",
        title="What takes longest to import", show_lines=True,
    )  # fmt: skip
    for name, each in result["modules"].items():
        modules.add_row(name, _listed(each["packages"]), _listed(each["cumulative"]))
    return [starts, modules]


def _listed(times: dict[str, float]) -> str:
    return "\n".join(f"{ms:6.1f}  {name}" for name, ms in times.items())
