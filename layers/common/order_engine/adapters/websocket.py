"""Frames to clients, through the management endpoint of the WebSocket API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from order_engine.adapters.aws import call, error_code
from order_engine.domain.errors import ConnectionGone

DEPENDENCY = "WebSocket API"


@dataclass(frozen=True, slots=True)
class ApiGatewaySockets:
    """`Sockets` on API Gateway's PostToConnection."""

    client: Any

    async def post(self, connection_id: str, frame: Mapping[str, object]) -> None:
        data = json.dumps(frame, separators=(",", ":"), ensure_ascii=False).encode()
        try:
            await call(DEPENDENCY, self.client.post_to_connection, ConnectionId=connection_id, Data=data)
        except ClientError as error:
            if error_code(error) in {"GoneException", "BadRequestException"}:
                # BadRequest is the answer to an id that was never one.
                raise ConnectionGone(connection_id) from error
            raise
