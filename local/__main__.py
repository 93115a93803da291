"""`python -m local run` starts the stack and keeps it; `python -m local logs` follows what its functions log."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import webbrowser
from collections.abc import Mapping
from pathlib import Path

from botocore.exceptions import BotoCoreError

from local.demo import SAMPLE_ORDER, show_sample_order
from local.logs import follow
from local.process import StackError
from local.stack import PROJECT, Endpoints, Stack, StackSettings

DIRECTORY = PROJECT / ".local"

# Settings of `make run`, and the template's parameters that they set.
PARAMETERS = {
    "SEED": "MarketSeed",
    "REVERT_RATE": "RevertRate",
    "DROP_RATE": "DropRate",
    "QUOTE_DELAY_MS": "QuoteDelayMs",
    "LANDING_MIN_MS": "LandingMinMs",
    "LANDING_MAX_MS": "LandingMaxMs",
    "ORDERS_PER_WORKER": "OrdersPerWorker",
    "FAULTS": "FaultPoints",
}

# Keeps time from the start of the command.
_STARTED = time.monotonic()


def main(arguments: list[str]) -> int:
    commands = {"run": run, "logs": logs}
    if len(arguments) != 1 or arguments[0] not in commands:
        print(f"Usage: python -m local {'|'.join(commands)}", file=sys.stderr)
        return 2
    # A shell starts commands in the background deaf to SIGINT; a closed terminal or a `kill` stops the stack as well.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        return commands[arguments[0]]()
    except StackError as error:
        print(f"\n{error}", file=sys.stderr)
    except OSError as error:
        print(f"\nThe stack could not run: {error}", file=sys.stderr)
    return 1


def run() -> int:
    """Until it is told to stop, which is how it ends well."""
    try:
        with Stack(settings(os.environ), report) as stack:
            try:
                show_sample_order(stack.endpoints, report)
                print(invitation(stack.endpoints), flush=True)
                show_dashboard(stack.endpoints)
                _stay(stack)
            except KeyboardInterrupt:
                print()
                report("Stopping")
    except KeyboardInterrupt:
        print()
    report("Stopped. Nothing is left running, and its orders are gone: the next `make run` starts empty")
    return 0


def show_dashboard(endpoints: Endpoints) -> None:
    """Opens it for somebody who sits at a terminal and has a screen: elsewhere a browser of text might take over."""
    has_screen = sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    if sys.stdout.isatty() and has_screen:
        webbrowser.open(dashboard_url(endpoints))


def dashboard_url(endpoints: Endpoints) -> str:
    return f"{endpoints.http}/"


def logs() -> int:
    endpoints = running_stack()
    try:
        for line in follow(endpoints):
            print(line, flush=True)
    except BotoCoreError:
        report("The stack has stopped")
    except (BrokenPipeError, KeyboardInterrupt):
        pass
    return 0


def running_stack(directory: Path = DIRECTORY) -> Endpoints:
    try:
        return Endpoints(**json.loads((directory / "endpoints.json").read_text()))
    except FileNotFoundError:
        raise StackError(
            "No stack is running; `make run` starts one. The last one's log is .local/emulator.log"
        ) from None


def settings(variables: Mapping[str, str]) -> StackSettings:
    """Variables that are missing or empty leave the default. Raises `StackError` naming a port that is none."""
    parameters = {name: variables[setting] for setting, name in PARAMETERS.items() if variables.get(setting)}
    directory = Path(variables.get("LOCAL_DIRECTORY") or DIRECTORY)
    return StackSettings(directory, parameters, port(variables, "PORT"), port(variables, "POSTGRES_PORT"))


def port(variables: Mapping[str, str], name: str) -> int | None:
    """Raises `StackError` for what is no port."""
    text = variables.get(name)
    if not text:
        return None
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise StackError(f"{name} is {text!r}, but must be a port number")
    return int(text)


def report(line: str) -> None:
    print(f"{time.monotonic() - _STARTED:6.1f} s  {line}", flush=True)


def invitation(endpoints: Endpoints) -> str:
    return f"""
Ready. The order engine is up until Ctrl-C.

  Dashboard   {dashboard_url(endpoints)}
  HTTP API    {endpoints.http}/api/orders   (reference: {endpoints.http}/docs)
  WebSocket   {endpoints.ws}
  Postgres    {endpoints.postgres}
  AWS         {endpoints.aws}   (region {endpoints.region}, any credentials)

These are in .local/endpoints.json too. In another window, place an order and watch it:

  .venv/bin/orders submit --in SOL --out USDC --amount 1.5 --watch

`.venv/bin/orders --help` lists what else it does. Without it, submit an order:

  curl -s {endpoints.http}/api/orders -H 'Content-Type: application/json' \\
    -d '{json.dumps(SAMPLE_ORDER)}'

and watch it, with the orderId of the answer (or place it by connecting, with ?tokenIn=SOL&tokenOut=USDC&amount=1.5):

  .venv/bin/websockets '{endpoints.ws}?orderId=…'

`make logs` in another window follows the functions' logs.
"""


def _stay(stack: Stack) -> None:
    while stack.stopped_part is None:
        time.sleep(0.5)
    raise StackError(f"{stack.stopped_part} has ended by itself; its log is in {stack.directory}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
