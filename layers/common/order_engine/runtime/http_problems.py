"""The outermost edge of the HTTP API: every request gets an id and a log line, every error an RFC 9457 answer."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import cast
from uuid import uuid4

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic_core import ErrorDetails
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from order_engine.contracts.fields import detail_of
from order_engine.contracts.problems import HTTP_STATUS, FieldError, ValidationProblem, field_errors, http_status
from order_engine.contracts.responses import PROBLEM_JSON, Problem
from order_engine.domain.errors import EngineError, ErrorCode
from order_engine.runtime.telemetry import log_about
from order_engine.runtime.tracing import traced

RETRY_AFTER_SECONDS = "1"

logger = logging.getLogger(__name__)


class RequestBoundary:
    """Nothing leaves the API without a request id, and no exception leaves it at all."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        request.state.request_id = _request_id(scope)
        log_about(request_id=request.state.request_id)
        facts = {"request_id": request.state.request_id, "method": request.method, "path": request.url.path}
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request.state.request_id
            await send(message)

        with traced("request"):
            try:
                await self.app(scope, receive, send_with_id)
            except Exception:  # the outermost edge: Mangum would answer with plain text
                logger.exception("request failed", extra=facts)
                await _unexpected(request)(scope, receive, send_with_id)
        logger.info("request answered", extra={**facts, "status": status})


def answer_errors(app: FastAPI) -> None:
    """Let every error of `app`, its framework's own too, be answered as a problem."""
    for kind in HTTP_STATUS:
        app.add_exception_handler(kind, _engine_error)
    app.add_exception_handler(RequestValidationError, _invalid_parameters)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_middleware(RequestBoundary)


def _engine_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, EngineError)
    return _problem(
        request,
        http_status(error),
        code=error.code,
        detail=str(error),
        retryable=error.retryable,
        errors=field_errors(error),
        headers={"Retry-After": RETRY_AFTER_SECONDS} if error.retryable else {},
    )


def _invalid_parameters(request: Request, error: Exception) -> Response:
    """Query parameters and headers; bodies are read by `parse_order`."""
    assert isinstance(error, RequestValidationError)
    details = cast(Sequence[ErrorDetails], error.errors())
    errors = (FieldError(pointer=str(detail["loc"][-1]), detail=detail_of(detail)) for detail in details)
    return _engine_error(request, ValidationProblem(*errors))


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    details = {
        HTTPStatus.NOT_FOUND: "There is nothing at this path",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not possible here",
    }
    headers = dict(error.headers or {})
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_allowed_methods(request))
    return _problem(request, status, code=status.name, detail=details.get(status, status.phrase), headers=headers)


def _unexpected(request: Request) -> Response:
    return _problem(
        request,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        code=ErrorCode.INTERNAL,
        detail="Something went wrong here; the request id finds it in the logs",
        retryable=True,
    )


def _problem(  # noqa: PLR0913
    request: Request,
    status: HTTPStatus,
    *,
    code: str,
    detail: str,
    retryable: bool = False,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    problem = Problem(
        title=status.phrase,
        status=status,
        detail=detail,
        instance=request.url.path,
        code=code,
        retryable=retryable,
        requestId=request.state.request_id,
        errors=list(errors),
    )
    return JSONResponse(problem.model_dump(mode="json", by_alias=True), status, headers, media_type=PROBLEM_JSON)


def _allowed_methods(request: Request) -> list[str]:
    """Of all routes with this path; Starlette itself names only those of the first."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    matching = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in matching for method in route.methods or ()})


def _request_id(scope: Scope) -> str:
    """API Gateway's, so that its access log, ours and the client's answer agree; else a fresh one."""
    context = scope.get("aws.event", {}).get("requestContext", {})
    return str(context.get("requestId") or getattr(scope.get("aws.context"), "aws_request_id", None) or uuid4())
