"""What a trace of X-Ray is about: a subsegment an order, message, frame or request, with the ids of its log lines.

It is one datagram to the daemon that Lambda runs beside a traced function: no SDK to load, and no answer to wait for.
https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html#xray-api-daemon
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from secrets import token_hex

from order_engine.runtime.telemetry import noted

_HEADER = b'{"format": "json", "version": 1}\n'


@contextmanager
def traced(name: str) -> Iterator[None]:
    """Tells X-Ray of what is done inside, under `name`, with what `log_about` has noted by its end as annotations.

    Nothing, unless Lambda samples this invocation.
    """
    started = time.time()
    try:
        yield
    finally:
        _tell(name, started)


def _tell(name: str, started: float) -> None:
    daemon = os.environ.get("AWS_XRAY_DAEMON_ADDRESS", "")
    # Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1, another for each invocation.
    trace = dict(part.partition("=")[::2] for part in os.environ.get("_X_AMZN_TRACE_ID", "").split(";"))
    if not daemon or trace.get("Sampled") != "1":
        return
    subsegment = {
        "type": "subsegment",
        "name": name,
        "id": token_hex(8),
        "trace_id": trace.get("Root"),
        "parent_id": trace.get("Parent"),
        "start_time": started,
        "end_time": time.time(),
        "annotations": {fact: str(value) for fact, value in noted().items()},
    }
    host, _, port = daemon.rpartition(":")
    # A trace that is lost is no loss to an order.
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.sendto(_HEADER + json.dumps(subsegment).encode(), (host, int(port)))
