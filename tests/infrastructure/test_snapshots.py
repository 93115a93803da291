"""A snapshot of a function's init may be restored twice: the copies share no chance, no connection and no thread."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.infrastructure.stack import FUNCTIONS, LAYER, ROOT, example_environment
from tests.infrastructure.test_versions import PUBLISHED

# What Lambda's runtime does with a function that has SnapStart, and a fork for each restored copy. Python seeds forks
# afresh of its own accord, but not restored copies, so the old seed is put back first.
PROGRAM = """
import json, os, random, socket, sys, threading
from contextlib import suppress

import snapshot_restore_py as hooks
import app
from order_engine.adapters.system import SystemRandomness

def connections():
    # Sockets but those of a process with itself, as an event loop has one: they are in the snapshot whole.
    found = []
    for number in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError), socket.socket(fileno=os.dup(number)) as open_socket:
            found.append(open_socket.family.name)
    return [family for family in found if family != "AF_UNIX"]

for function, args, _ in reversed(hooks.get_before_snapshot()):
    function(*args)
randomness, chance = SystemRandomness(), random.getstate()
facts = {"connections": connections(), "threads": threading.active_count(), "modules": list(sys.modules), "copies": []}

for _ in range(2):
    reading, writing = os.pipe()
    if os.fork() == 0:
        random.setstate(chance)
        for function, args, _ in hooks.get_after_restore():
            function(*args)
        drawn = {"token": randomness.token(), "jitter": randomness.uniform(0, 1), "retry": random.random()}
        os.write(writing, json.dumps(drawn).encode())
        os._exit(0)
    os.close(writing)
    facts["copies"].append(json.loads(os.read(reading, 4096)))
print(json.dumps(facts))
"""

NEEDED_LATER = {
    "SubmitOrder": {"psycopg", "order_engine.adapters.venues"},
    "ExecuteOrder": {"psycopg"},
    "WsConnect": {"pydantic"},
    "WsNotify": set[str](),
}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks for sockets in /proc")
@pytest.mark.parametrize("function", PUBLISHED)
def test_copies_of_a_snapshot_share_nothing_but_what_is_loaded(function: str) -> None:
    facts = _snapshot(function)

    first, second = facts["copies"]
    assert all(first[drawn] != second[drawn] for drawn in ("token", "jitter", "retry"))
    assert (facts["connections"], facts["threads"]) == ([], 1)
    assert set(facts["modules"]) >= NEEDED_LATER[function]


def _snapshot(function: str) -> dict[str, Any]:
    places = [ROOT / "functions" / FUNCTIONS[function], LAYER]
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | example_environment(function) | {"PYTHONPATH": os.pathsep.join(map(str, places))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    facts: dict[str, Any] = json.loads(process.stdout)
    return facts
