"""The engine's whole world in memory, where every call to a port can go wrong at a chosen place.

A run of a use case can be killed, paused or cut off from a dependency at any of its calls, and what it has done until
then stays done. The order queue is as unkind as SQS may be: visibility timeouts, duplicates, any order, dead letters.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from typing import Any, TypeVar, cast

from order_engine.domain.errors import InvalidOrder, Unavailable
from order_engine.domain.events import Event
from order_engine.domain.orders import Order, SwapRequest
from order_engine.service.accept_order import AcceptOrder
from order_engine.service.execute_order import Done, ExecuteOrder, ExecutionPolicy, Verdict
from order_engine.service.follow_orders import FollowOrders
from order_engine.service.notify_clients import NotifyClients
from order_engine.service.ports import Frame, OrderMessage, Replay, StatusMessage
from order_engine.service.watch_orders import WatchOrders
from tests.fakes import (
    CountingRandomness,
    FixedPriceVenue,
    FrozenClock,
    InMemoryConnections,
    InMemoryHistory,
    InMemoryOrders,
    RecordingSockets,
    ScriptedChain,
)

T = TypeVar("T")

VISIBILITY = timedelta(seconds=30)
INVOCATION = timedelta(seconds=20)
DEDUPLICATION = timedelta(minutes=5)
MAX_RECEIVES = 3

CLIENT = "client"
USER = "user"


class Fault(Enum):
    """What happens to one call. A paused worker does nothing at all until it is resumed."""

    REFUSED = "refused"
    ANSWER_LOST = "answer lost"
    KILLED_BEFORE = "killed before"
    KILLED_AFTER = "killed after"
    PAUSED_BEFORE = "paused before"
    PAUSED_AFTER = "paused after"


Plan = Mapping[int, Fault]
"""Faults by the number of the call."""


class Killed(BaseException):
    """The process is gone: no handler of the code under test may see it."""


class TimelessLoop(asyncio.SelectorEventLoop):
    """No timeout ever strikes, however slow the machine is or long a pause: time is the clock's alone."""

    def time(self) -> float:
        return 0.0


class Run:
    """One run of a use case on a worker of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, outages: set[str], plan: Plan) -> None:
        self.is_killed = False
        self.cut_off: set[str] = set()
        """The ports whose answers were missed."""
        self._outages = outages
        self._plan = plan
        self._calls = 0
        self._loop = loop
        self._paused: asyncio.Future[None] = loop.create_future()
        self._resumed: asyncio.Future[None] = loop.create_future()
        self._resumed.set_result(None)

    def start(self, use_case: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = self._loop.create_task(use_case)
        self._go_on(task)
        return task

    def resume(self, task: asyncio.Task[Any]) -> None:
        self._paused = self._loop.create_future()
        self._resumed.set_result(None)
        self._go_on(task)

    def _go_on(self, task: asyncio.Task[Any]) -> None:
        """Until it has ended or paused."""
        self._loop.run_until_complete(asyncio.wait([task, self._paused], return_when=asyncio.FIRST_COMPLETED))

    def port(self, name: str, target: T) -> T:
        return cast(T, _Port(self, name, target))

    async def call(self, port: str, act: Callable[[], Awaitable[T]]) -> T:
        fault = self._plan.get(self._calls)
        self._calls += 1
        await self._turn()
        if fault is Fault.PAUSED_BEFORE:
            await self._pause()
        if fault is Fault.KILLED_BEFORE:
            self._die()
        if fault is Fault.REFUSED or port in self._outages:
            self._cut_off(port)
        result = await act()
        if fault is Fault.PAUSED_AFTER:
            await self._pause()
        if fault is Fault.KILLED_AFTER:
            self._die()
        if fault is Fault.ANSWER_LOST:
            self._cut_off(port)
        return result

    def _cut_off(self, port: str) -> None:
        self.cut_off.add(port)
        raise Unavailable(port)

    async def _turn(self) -> None:
        while not self._resumed.done():
            await asyncio.shield(self._resumed)
        if self.is_killed:
            raise Killed

    async def _pause(self) -> None:
        if not self._paused.done():
            self._resumed = self._loop.create_future()
            self._paused.set_result(None)
        await self._turn()

    def _die(self) -> None:
        self.is_killed = True
        raise Killed


class _Port:
    """Stands before a port; its coroutine functions become calls of the run."""

    def __init__(self, run: Run, name: str, target: object) -> None:
        self._run, self._name, self._target = run, name, target

    def __getattr__(self, attribute: str) -> Any:
        member = getattr(self._target, attribute)
        if not inspect.iscoroutinefunction(member):
            return member

        async def call(*arguments: object, **options: object) -> object:
            return await self._run.call(self._name, partial(member, *arguments, **options))

        return call


@dataclass
class SkewedClock:
    """One worker's idea of the time."""

    true: FrozenClock
    offset: timedelta

    def now(self) -> datetime:
        return self.true.now() + self.offset

    async def sleep(self, seconds: float) -> None:
        await self.true.sleep(seconds)


@dataclass(eq=False)
class QueuedMessage:
    message: OrderMessage
    visible_at: datetime


class StandardQueue:
    """The order queue. `messages` are all that are not deleted, visible or not."""

    def __init__(self, clock: FrozenClock, randomness: CountingRandomness) -> None:
        self.messages: list[QueuedMessage] = []
        self.dead_letters: list[OrderMessage] = []
        self.ever_sent: list[OrderMessage] = []
        self._due: dict[str, datetime] = {}
        self._clock = clock
        self._randomness = randomness

    async def send(
        self,
        order_id: str,
        *,
        accepted: Order | None = None,
        delay_seconds: int = 0,
        deferrals: int = 0,
        record_only: bool = False,
    ) -> None:
        assert 0 <= delay_seconds <= 900
        token = self._randomness.token()
        message = OrderMessage(order_id, token, "", self._clock.now(), 0, deferrals, record_only, accepted)
        self._put(message, delay_seconds)

    def redrive(self, letter: OrderMessage) -> None:
        """As an operator does: the same body as a new message."""
        self.dead_letters.remove(letter)
        self._put(letter)

    def duplicate(self, message: OrderMessage) -> None:
        """At least once: what was deleted or is being worked on is delivered all the same, but not before its delay."""
        self.messages.append(QueuedMessage(message, max(self._clock.now(), self._due[message.message_id])))

    def visible(self) -> list[QueuedMessage]:
        return [queued for queued in self.messages if queued.visible_at <= self._clock.now()]

    def receive(self, queued: QueuedMessage) -> OrderMessage | None:
        """The delivery, or None for a message that has used up its receives."""
        if queued.message.receive_count == MAX_RECEIVES:
            self.messages.remove(queued)
            self.dead_letters.append(queued.message)
            return None
        queued.message = replace(queued.message, receive_count=queued.message.receive_count + 1)
        queued.visible_at = self._clock.now() + VISIBILITY
        return queued.message

    def answer(self, queued: QueuedMessage, verdict: Verdict) -> None:
        if isinstance(verdict, Done):
            self.messages.remove(queued)
        else:
            assert 0 <= verdict.after_seconds <= 43_200
            queued.visible_at = self._clock.now() + timedelta(seconds=verdict.after_seconds)

    def _put(self, message: OrderMessage, delay_seconds: int = 0) -> None:
        now = self._clock.now()
        message = replace(message, message_id=f"message-{len(self.ever_sent)}", sent_at=now, receive_count=0)
        self.ever_sent.append(message)
        self._due[message.message_id] = now + timedelta(seconds=delay_seconds)
        self.messages.append(QueuedMessage(message, self._due[message.message_id]))


class FifoQueue:
    """The status queue: one line an order, and a deduplication that forgets."""

    def __init__(self, clock: FrozenClock) -> None:
        self.groups: dict[str, deque[StatusMessage | Replay | Frame]] = defaultdict(deque)
        self.published: dict[str, dict[int, Event]] = defaultdict(dict)
        self._seen: dict[tuple[str, int], datetime] = {}
        self._clock = clock

    async def publish(self, order: Order, events: Sequence[Event]) -> None:
        now = self._clock.now()
        key = (order.order_id, events[-1]["sequence"])
        if key not in self._seen or self._seen[key] + DEDUPLICATION <= now:
            self._seen[key] = now
            self.groups[order.order_id].append(StatusMessage(order.order_id, order.request.user_id, tuple(events)))
            self.published[order.order_id] |= {event["sequence"]: event for event in events}

    async def request_replay(self, replay: Replay) -> None:
        self.groups[replay.order_id].append(replay)

    async def send_frame(self, frame: Frame) -> None:
        self.groups[frame.connection_id].append(frame)


@dataclass(frozen=True, eq=False)
class Delivery:
    """One order message on one worker."""

    queued: QueuedMessage
    ends_at: datetime
    run: Run
    task: asyncio.Task[Verdict]


@dataclass
class World:
    """`outages` are the names of the ports that refuse everything; `paused` workers may wake up at any time."""

    loop: asyncio.AbstractEventLoop = field(default_factory=TimelessLoop)
    clock: FrozenClock = field(default_factory=FrozenClock)
    randomness: CountingRandomness = field(default_factory=CountingRandomness)
    orders: InMemoryOrders = field(default_factory=InMemoryOrders)
    history: InMemoryHistory = field(default_factory=InMemoryHistory)
    connections: InMemoryConnections = field(default_factory=InMemoryConnections)
    sockets: RecordingSockets = field(default_factory=RecordingSockets)
    venues: tuple[FixedPriceVenue, ...] = (FixedPriceVenue("raydium", 150), FixedPriceVenue("meteora", 151))
    outages: set[str] = field(default_factory=set)
    paused: list[Delivery] = field(default_factory=list)
    disturbed: set[str] = field(default_factory=set)
    """Orders that a worker was killed, timed out or cut off from the queue over: it may have cost them a receive."""

    def __post_init__(self) -> None:
        self.venues = tuple(replace(venue, asked=[]) for venue in self.venues)
        self.chain = ScriptedChain(self.clock)
        self.queue = StandardQueue(self.clock, self.randomness)
        self.statuses = FifoQueue(self.clock)
        # Whoever is killed leaves tasks behind that nobody asks for their end.
        self.loop.set_exception_handler(lambda loop, context: None)

    def accept(self, request: SwapRequest, plan: Plan) -> None:
        run = self._run(plan)
        accept = AcceptOrder(
            orders=run.port("orders", self.orders),
            queue=run.port("queue", self.queue),
            statuses=run.port("statuses", self.statuses),
            clock=self.clock,
            randomness=self.randomness,
        )
        self._whole(run, accept(request))

    def deliver(self, queued: QueuedMessage, plan: Plan, skew: timedelta) -> None:
        message = self.queue.receive(queued)
        if message is None:
            return
        run, clock = self._run(plan), SkewedClock(self.clock, skew)
        execute = ExecuteOrder(
            orders=run.port("orders", self.orders),
            queue=run.port("queue", self.queue),
            statuses=run.port("statuses", self.statuses),
            history=run.port("history", self.history),
            venues=[run.port(venue.name, venue) for venue in self.venues],
            chain=run.port("chain", self.chain),
            clock=clock,
            randomness=self.randomness,
            policy=ExecutionPolicy(look_up_every_seconds=1.0),
        )
        ends_at = self.clock.now() + INVOCATION
        task = run.start(execute(message, clock.now() + INVOCATION))
        self._answer(Delivery(queued, ends_at, run, task))

    def resume(self, delivery: Delivery) -> None:
        self.paused.remove(delivery)
        delivery.run.resume(delivery.task)
        self._answer(delivery)

    def kill(self, delivery: Delivery) -> None:
        delivery.run.is_killed = True
        self.resume(delivery)

    def notify(self, group: str, plan: Plan) -> None:
        """The next message of a group. While it fails, its group waits."""
        run = self._run(plan)
        notify = NotifyClients(
            connections=run.port("connections", self.connections),
            orders=run.port("orders", self.orders),
            statuses=run.port("statuses", self.statuses),
            sockets=run.port("sockets", self.sockets),
            clock=self.clock,
        )
        line = self.statuses.groups[group]
        if self._whole(run, notify(line[0])):
            line.popleft()

    def follow(self, request: Callable[[FollowOrders], Coroutine[Any, Any, None]], plan: Plan) -> bool:
        run = self._run(plan)
        follow = FollowOrders(
            connections=run.port("connections", self.connections),
            orders=run.port("orders", self.orders),
            statuses=run.port("statuses", self.statuses),
            clock=self.clock,
        )
        return self._whole(run, request(follow))

    def sweep(self, plan: Plan) -> None:
        run = self._run(plan)
        watch = WatchOrders(
            orders=run.port("orders", self.orders), queue=run.port("queue", self.queue), clock=self.clock
        )
        self._whole(run, watch(self.clock.now() + INVOCATION))

    def close(self) -> None:
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    def _run(self, plan: Plan) -> Run:
        return Run(self.loop, self.outages, plan)

    def _whole(self, run: Run, use_case: Coroutine[Any, Any, object]) -> bool:
        """Whether it succeeded. There is no pausing here."""
        task = run.start(use_case)
        try:
            task.result()
        except (Unavailable, InvalidOrder, Killed):
            return False
        return not run.is_killed

    def _answer(self, delivery: Delivery) -> None:
        if not delivery.task.done():
            self.paused.append(delivery)
            return
        is_late = self.clock.now() >= delivery.ends_at
        if delivery.run.is_killed or is_late or "queue" in delivery.run.cut_off | self.outages:
            self.disturbed.add(delivery.queued.message.order_id)
        if delivery.run.is_killed:
            delivery.task.exception()
            return
        verdict = delivery.task.result()
        if is_late or delivery.queued not in self.queue.messages:
            return
        if isinstance(verdict, Done) or "queue" not in self.outages:
            self.queue.answer(delivery.queued, verdict)
