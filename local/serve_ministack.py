"""Serves ministack with what its version 1.5.33 needs to be a good neighbour; emulator.py runs this as a process.

Each function below is a workaround and says what for: when a later version no longer needs it, it can go.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
from collections import defaultdict
from contextlib import suppress
from threading import BoundedSemaphore
from typing import Any, NoReturn

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app
from ministack.core import iam_evaluator, lambda_runtime
from ministack.services import apigateway, lambda_svc

WORKERS_PER_FUNCTION = 4


def read_logs_without_waiting() -> None:
    """1.5.33 waits 50 ms after every invocation for a first line of log, also when there is none to come."""
    lambda_runtime.Worker._drain_stderr_bounded.__defaults__ = (0.003, 0.002, 0.25)


def invoke_websocket_routes_like_others() -> None:
    """1.5.33 runs all WebSocket events of a function in one worker, one after the other, and drops their logs."""

    class Invocation:
        def __init__(self, config: dict[str, Any], code: bytes) -> None:
            self._function = {"config": config, "code_zip": code}

        def invoke(self, event: dict[str, Any], _request_id: str, **_: object) -> dict[str, Any]:
            outcome = lambda_svc._execute_function_with_config_scope(self._function, event)
            if outcome.get("error") or outcome.get("throttle"):
                return {"status": "error", "error": "Internal server error"}
            return {"status": "ok", "result": outcome.get("body")}

    lambda_runtime.get_or_create_worker = lambda _name, config, code, **_: Invocation(config, code)


def answer_requests_with_few_workers() -> None:
    """1.5.33 starts another process for each concurrent request to a function, as AWS does. Here all of them share a
    few cores: sixty requests at once would wait for sixty interpreters to start. So requests wait for a free worker.
    """
    execute = lambda_svc._execute_function_with_config_scope
    places: defaultdict[str, BoundedSemaphore] = defaultdict(lambda: BoundedSemaphore(WORKERS_PER_FUNCTION))

    def execute_in_turn(function: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
        with places[(function.get("config") or function)["FunctionName"]]:
            outcome: dict[str, Any] = execute(function, event)
            return outcome

    lambda_svc._execute_function_with_config_scope = execute_in_turn


def serve_the_groups_of_a_queue_at_once() -> None:
    """1.5.33 has one batch of a FIFO queue under way at a time; AWS has as many as there are busy groups. No group can
    be in two of them: while one of its messages is being handled, the queue gives out no other.
    """
    concurrency = lambda_svc._sqs_esm_concurrency

    def concurrency_on_aws(mapping: Any, function: Any, config: Any, queue: dict[str, Any] | None = None) -> int:
        if (queue or {}).get("is_fifo"):
            return WORKERS_PER_FUNCTION
        allowed: int = concurrency(mapping, function, config, queue)
        return allowed

    lambda_svc._sqs_esm_concurrency = concurrency_on_aws


def keep_workers_when_another_fails_to_start() -> None:
    """1.5.33 ends all workers of a function when one of them dies while it starts. Those that are starting then fail
    too and end the next ones: one kill at a bad moment, and a function under load is away for half a minute.
    """
    invoke = lambda_runtime.Worker.invoke

    def invoke_or_fail(worker: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        try:
            outcome: dict[str, Any] = invoke(worker, *args, **kwargs)
        except Exception as error:  # only starting raises: what a running worker does is in its outcome
            worker.kill()
            return {"status": "error", "error": str(error)}
        return outcome

    lambda_runtime.Worker.invoke = invoke_or_fail


def route_frames_that_are_too_deep_to_read() -> None:
    """1.5.33 reads frames as JSON to find their routes, and one that is nested too deeply ends its connection."""
    select = apigateway._evaluate_route_selection

    def select_or_default(expression: str, frame: str) -> str:
        try:
            route: str = select(expression, frame)
        except RecursionError:
            return "$default"
        return route

    apigateway._evaluate_route_selection = select_or_default


def name_what_is_denied() -> None:
    """Where 1.5.33 enforces IAM, its own log says nothing of denials, and its answers seldom name the resource."""
    enforce = iam_evaluator.enforce

    def enforce_aloud(access_key: str, action: str, *args: Any, **named: Any) -> Any:
        denial = enforce(access_key, action, *args, **named)
        if isinstance(denial, iam_evaluator.EvalResult):
            print("DENIED", denial.principal_arn, action, named.get("resource_arn", "*"), flush=True)
        return denial

    iam_evaluator.enforce = enforce_aloud


async def serve_apis_without_a_slash(scope: Any, receive: Any, send: Any) -> None:
    """1.5.33 takes an API's base URL for something else unless a slash ends it; AWS serves it either way."""
    if scope["type"] != "http" or not re.fullmatch(r"/_aws/execute-api/[^/]+", scope["path"]):
        await app(scope, receive, send)
        return
    # Not only the path: what the page at the base URL loads is relative to where its own URL ends.
    location = scope["raw_path"].partition(b"?")[0] + b"/"
    location += b"?" + scope["query_string"] if scope["query_string"] else b""
    await send({"type": "http.response.start", "status": 308, "headers": [(b"location", location)]})
    await send({"type": "http.response.body", "body": b""})


async def serve_until_told() -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    config = Config()
    config.bind = [f"{os.environ['BIND_HOST']}:{os.environ['GATEWAY_PORT']}"]
    config.keep_alive_timeout = 75
    server = asyncio.create_task(serve(serve_apis_without_a_slash, config, shutdown_trigger=asyncio.Event().wait))
    await asyncio.wait([server, asyncio.create_task(told.wait())], return_when=asyncio.FIRST_COMPLETED)
    if server.done():
        server.result()
    await end()


async def end() -> NoReturn:
    """As long as a WebSocket is open or an invocation runs, 1.5.33 ignores signals. Nothing it holds is to be kept.

    Its workers end with the process (see leash.py); by themselves they would go on for a moment.
    """
    for connection in list(apigateway._ws_connections.values()):
        connection["close_event"].set()
        connection["outbox"].put_nowait(None)
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            while apigateway._ws_connections:  # noqa: ASYNC110 (nothing tells)
                await asyncio.sleep(0.01)
    # The close frames are on their way.
    await asyncio.sleep(0.1)
    os._exit(0)


def allow_many_sockets() -> None:
    """The usual soft limits, 256 files on macOS and 1,024 on Linux, are too low for a burst of connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 10_240 if hard == resource.RLIM_INFINITY else min(hard, 10_240)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


if __name__ == "__main__":
    allow_many_sockets()
    read_logs_without_waiting()
    invoke_websocket_routes_like_others()
    answer_requests_with_few_workers()
    serve_the_groups_of_a_queue_at_once()
    route_frames_that_are_too_deep_to_read()
    name_what_is_denied()
    keep_workers_when_another_fails_to_start()
    asyncio.run(serve_until_told())
