"""Fault points of the local stack: between any two steps, a worker can be told to crash, lose, delay or refuse.

A fault point is a function's call of a port, named `{function}.{port}.{method}`; storing an order also says which step
it stores (`execute_order.orders.save.submitted`; `.quiet` where nothing visible changes). What should happen there
stands in a control item of the orders table, for one order or for all of them:

    pk FAULT#{order id or *}, sk FAULT, and for each point an attribute {action: S, times: N, ms: N (delay only)}

| action        | what happens at the point                                                    |
|---------------|------------------------------------------------------------------------------|
| crash-before  | the process is killed before the call                                        |
| crash-after   | the process is killed after the call                                         |
| refuse        | the dependency is away: the call is not made                                 |
| lose          | the call is made and its answer is lost                                      |
| delay         | the call is made `ms` milliseconds later                                     |
| drop          | the call is not made, and looks as if it had been                            |
| garble        | a venue's quote is nonsense                                                  |
| revert        | what the chain is sent lands reverted                                        |
| unknown       | the chain knows of no transaction                                            |

Where fault points are off, which is everywhere but in a local stack that asks for them, nothing is wrapped at all.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import signal
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from botocore.exceptions import BotoCoreError, ClientError

from order_engine.adapters import keys
from order_engine.domain.errors import Unavailable
from order_engine.domain.orders import Order
from order_engine.domain.transactions import Unknown
from order_engine.runtime.settings import Settings

Port = TypeVar("Port")

_CALLED_BY_ORDER_ID = frozenset({"orders", "queue"})

_order_id: ContextVar[str] = ContextVar("order_id", default="*")


@dataclass(frozen=True, slots=True)
class Fault:
    action: str
    milliseconds: int = 0


class NoFaults:
    """Every port as it is."""

    def wrap(self, name: str, port: Port) -> Port:  # noqa: ARG002
        return port


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """The control items. Reads and counts down one fault at a time."""

    function: str
    client: Any
    table: str

    def wrap(self, name: str, port: Port) -> Port:
        """The port with a fault point at each of its calls."""
        return cast(Port, _FaultyPort(name, port, self))

    def take(self, point: str) -> Fault | None:
        """The fault that is due at this point, if any; it is due once less afterwards."""
        point = f"{self.function}.{point}"
        return self._take(_order_id.get(), point) or self._take("*", point)

    def _take(self, scope: str, point: str) -> Fault | None:
        try:
            answer = self.client.update_item(
                TableName=self.table,
                Key=keys.fault(scope),
                UpdateExpression="SET #point.#times = #point.#times - :one",
                ConditionExpression="#point.#times > :none",
                ExpressionAttributeNames={"#point": point, "#times": "times"},
                ExpressionAttributeValues={":one": {"N": "1"}, ":none": {"N": "0"}},
                ReturnValues="ALL_NEW",
            )
        except (BotoCoreError, ClientError):
            # None is due, or the table is away, which the call itself will find out.
            return None
        fault = answer["Attributes"][point]["M"]
        return Fault(fault["action"]["S"], int(fault.get("ms", {"N": "0"})["N"]))


def fault_plan(function: str, settings: Settings, dynamodb: Any) -> FaultPlan | NoFaults:
    return FaultPlan(function, dynamodb, settings.text("ORDERS_TABLE")) if settings.has_fault_points else NoFaults()


class _FaultyPort:
    def __init__(self, name: str, port: Any, plan: FaultPlan) -> None:
        self._name = name
        self._port = port
        self._plan = plan

    def __getattr__(self, attribute: str) -> Any:
        member = getattr(self._port, attribute)
        if not inspect.iscoroutinefunction(member):
            return member
        return functools.partial(self._call, attribute, member)

    async def _call(self, method: str, call: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        self._note_order(args)
        fault = await asyncio.to_thread(self._plan.take, _point(f"{self._name}.{method}", args))
        if fault is None:
            return await call(*args, **kwargs)
        match fault.action:
            case "crash-before":
                _crash()
            case "refuse":
                raise Unavailable(self._name)
            case "delay":
                await asyncio.sleep(fault.milliseconds / 1000)
            case "drop":
                return None
            case "unknown":
                return Unknown()
            case "revert":
                return await replace(self._port, revert_rate=1).send(*args, **kwargs)
        result = await call(*args, **kwargs)
        match fault.action:
            case "crash-after":
                _crash()
            case "lose":
                raise Unavailable(self._name)
            case "garble":
                return replace(result, amount_out=-result.amount_out)
        return result

    def _note_order(self, args: tuple[Any, ...]) -> None:
        """Faults for one order find it by the call that names it; later calls of the same task belong to it too."""
        for value in args:
            named = value if self._name in _CALLED_BY_ORDER_ID else None
            order_id = getattr(value, "order_id", named)
            if isinstance(order_id, str):
                _order_id.set(order_id)


def _point(call: str, args: tuple[Any, ...]) -> str:
    match args:
        case (Order(sequence=before), Order(sequence=after, status=status)):
            return f"{call}.{status.value if after > before else 'quiet'}"
    return call


def _crash() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
