"""What X-Ray's daemon hears of an invocation: a real datagram a piece of work, with the ids of the log's lines."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from order_engine.runtime.execute_order import OrderWorker
from order_engine.runtime.metrics import EmfMetrics
from order_engine.runtime.telemetry import log_about
from order_engine.runtime.tracing import traced
from tests.functions.api import Api
from tests.functions.test_ws_connect import ORDER, Gateway
from tests.functions.test_ws_notify import RecordingNotify, RecordingSqs, a_record, work

ROOT, PARENT = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"
ORDER_ID = "00000000-0000-4000-8000-000000000001"


@dataclass
class Daemon:
    socket: socket.socket

    def heard(self) -> list[dict[str, Any]]:
        """What has come so far: on loopback, a datagram is there when it has been sent."""
        documents: list[dict[str, Any]] = []
        while True:
            try:
                header, _, document = self.socket.recv(65_536).partition(b"\n")
            except BlockingIOError:
                return documents
            assert json.loads(header) == {"format": "json", "version": 1}
            documents.append(json.loads(document))


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.setblocking(False)
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", f"127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root={ROOT};Parent={PARENT};Sampled=1")
        yield Daemon(listener)


def test_a_subsegment_hangs_on_lambdas_own_and_has_what_was_noted_by_its_end(daemon: Daemon) -> None:
    with suppress(ZeroDivisionError), traced("order"):
        log_about(order_id=ORDER_ID, attempt=2)
        raise ZeroDivisionError
    (heard,) = daemon.heard()
    assert heard["annotations"] == {"order_id": ORDER_ID, "attempt": "2"}
    assert (heard["type"], heard["name"], heard["trace_id"], heard["parent_id"]) == (
        "subsegment",
        "order",
        ROOT,
        PARENT,
    )
    assert len(bytes.fromhex(heard["id"])) == 8
    assert heard["start_time"] <= heard["end_time"]


@pytest.mark.parametrize(
    "trace", ["", f"Root={ROOT};Parent={PARENT};Sampled=0", f"Root={ROOT}", "nonsense"], ids=["none", "0", "root", "?"]
)
def test_an_invocation_that_is_not_sampled_tells_nothing(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, trace: str
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", trace)
    with traced("order"):
        pass
    assert daemon.heard() == []


def test_without_a_daemon_work_goes_on(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ("", "127.0.0.1:1"):
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", address)
        with traced("order"):
            pass
    assert daemon.heard() == []


def test_a_request_is_found_by_its_order(daemon: Daemon) -> None:
    order_id = Api().post(ORDER).json["orderId"]
    # Its answer is held against the document of the API, which is a request as well.
    (heard,) = [each for each in daemon.heard() if each["annotations"].get("order_id") == order_id]
    assert heard["name"] == "request"
    assert heard["annotations"]["request_id"]


def test_a_frame_is_found_by_its_connection_and_order(daemon: Daemon) -> None:
    order_id = Gateway().say({"action": "submit", "order": ORDER})["orderId"]
    (heard,) = daemon.heard()
    assert heard["annotations"] == {"connection_id": "socket", "request_id": "request", "order_id": order_id}


def test_each_status_message_is_found_by_what_it_is_about(daemon: Daemon) -> None:
    work(RecordingNotify(), RecordingSqs(), a_record("a1", "a"), a_record("b1", "b"))
    heard = daemon.heard()
    assert {each["annotations"]["connection_id"] for each in heard} == {"a1", "b1"}
    assert {each["annotations"]["message_id"] for each in heard} == {"a1", "b1"}


def test_each_order_of_a_batch_is_found_by_its_id(daemon: Daemon) -> None:
    order_ids = [ORDER_ID, ORDER_ID.replace("1", "2")]
    records = [
        {
            "messageId": order_id[-1],
            "receiptHandle": "",
            "body": json.dumps({"orderId": order_id, "token": "token"}),
            "attributes": {"SentTimestamp": "1", "ApproximateReceiveCount": "1"},
        }
        for order_id in order_ids
    ]

    async def execute(*_: object) -> None:
        await asyncio.sleep(0)

    worker = OrderWorker(execute, None, "url", EmfMetrics("stack"))  # type: ignore[arg-type]
    answer = asyncio.run(worker.work(records, datetime.now(UTC)))
    assert answer == {"batchItemFailures": []}
    assert {each["annotations"]["order_id"]: each["annotations"]["message_id"] for each in daemon.heard()} == {
        order_ids[0]: "1",
        order_ids[1]: "2",
    }
