"""The order and its state machine: the only place that knows which status may follow which.

An `Order` is an immutable value. Each method below returns the order after one step, with the step's event appended,
and raises `IllegalTransition` where the table has no such arrow. Nothing here reads a clock: the time comes in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from order_engine.domain import events
from order_engine.domain.errors import AttemptFailed, ErrorCode, IllegalTransition
from order_engine.domain.events import Event, timestamp
from order_engine.domain.quotes import Route, Swap, VenueAnswer
from order_engine.domain.transactions import Landed, Transaction

MAX_ATTEMPTS = 3

MAX_CLAIMANTS = 100
MAX_EVENTS = 200
"""Far more than three attempts and a few replays make; with it, an order stays far below DynamoDB's 400 KB an item."""

PATIENCE = timedelta(seconds=30)
"""How long a live order may stand still before it is reminded of: as long as a message stays invisible."""

MOST_DOUBLINGS = 5
"""Of the patience, with every reminder: up to a quarter of an hour."""

Answers = Mapping[str, VenueAnswer]


class Status(StrEnum):
    PENDING = "pending"
    ROUTING = "routing"
    BUILDING = "building"
    SUBMITTED = "submitted"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    EXPIRED = "expired"

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL


TERMINAL = frozenset({Status.CONFIRMED, Status.FAILED, Status.EXPIRED})

PROGRESS = {
    Status.PENDING: 10,
    Status.ROUTING: 25,
    Status.BUILDING: 50,
    Status.SUBMITTED: 75,
    Status.CONFIRMED: 100,
    Status.FAILED: 100,
    Status.EXPIRED: 100,
}

TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.ROUTING, Status.FAILED, Status.EXPIRED}),
    # Back to routing: a later claim, after a crash.
    Status.ROUTING: frozenset({Status.PENDING, Status.ROUTING, Status.BUILDING, Status.FAILED, Status.EXPIRED}),
    Status.BUILDING: frozenset({Status.PENDING, Status.ROUTING, Status.SUBMITTED, Status.FAILED, Status.EXPIRED}),
    # Only with proof from the chain: landed, or never to land.
    Status.SUBMITTED: frozenset({Status.PENDING, Status.CONFIRMED, Status.FAILED}),
    Status.CONFIRMED: frozenset(),
    # Only by an operator's replay of an order whose attempts were exhausted.
    Status.FAILED: frozenset({Status.PENDING}),
    Status.EXPIRED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class SwapRequest:
    """What the client asked for, in exact units. `limit` is the client's own price floor, if it named one."""

    swap: Swap
    slippage_bps: int
    limit: int | None = None
    expires_at: datetime | None = None
    user_id: str | None = None
    client_order_id: str | None = None
    type: str = "market"

    def limit_for(self, route: Route) -> int:
        """The price floor if this route's quote is the first to be accepted."""
        return self.limit or self.swap.limit(route.amount_in, route.amount_out, self.slippage_bps)


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's hold on an order. `claim_id` is unique to the claim, so a worker knows its own writes again."""

    claim_id: str
    message_id: str
    token: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Order:
    order_id: str
    owner: str
    request: SwapRequest
    fingerprint: str
    """Digest of the request: what tells a repeated request from another one under the same key."""
    keyed: bool
    """Accepted under an idempotency key, and kept for ever because of it."""
    created_at: datetime

    status: Status = Status.PENDING
    events: tuple[Event, ...] = ()

    fence: int = 0
    """Rises with every claim. A write carries the fence it was computed under and is refused under another."""
    claim_id: str = ""
    lease: Lease | None = None
    claimants: tuple[str, ...] = ()
    """Tokens and ids of the last messages that had their turn. A replayed one brings its token under a new id."""

    failed_attempts: int = 0
    retry_at: datetime | None = None
    limit: int | None = None
    """The price floor, once it is fixed: it never moves afterwards."""
    route: Route | None = None
    transaction: Transaction | None = None
    """On record and possibly on chain. While there is one, no other may be made."""

    sent_through: int = 0
    """The last sequence known to be on the status queue."""
    recorded_through: int = 0
    """The last sequence known to be in the history."""
    reminders: int = 0
    reminded_at: datetime | None = None
    """Messages sent for it, since its last claim, because it stood still."""

    @property
    def sequence(self) -> int:
        return len(self.events)

    @property
    def attempt(self) -> int:
        return min(self.failed_attempts + 1, MAX_ATTEMPTS)

    @property
    def updated_at(self) -> datetime:
        return events.parse_timestamp(self.events[-1]["timestamp"])

    @property
    def is_recorded(self) -> bool:
        return self.recorded_through == self.sequence

    @property
    def is_settled(self) -> bool:
        """Ended, told and recorded: there is nothing left to do for it."""
        return self.status.is_terminal and self.is_recorded and self.sent_through == self.sequence

    @property
    def is_exhausted(self) -> bool:
        """Failed after its last attempt, so that a replay may give it a fresh set."""
        is_exhausted: bool = (
            self.status is Status.FAILED and self.events[-1]["errorCode"] == ErrorCode.ATTEMPTS_EXHAUSTED
        )
        return is_exhausted and not self.is_too_long

    @property
    def is_too_long(self) -> bool:
        """It has had so many turns, of workers that crashed or of operators, that another is no help."""
        return self.sequence >= MAX_EVENTS

    @property
    def is_last_attempt(self) -> bool:
        return self.attempt == MAX_ATTEMPTS

    def events_after(self, sequence: int) -> tuple[Event, ...]:
        return self.events[max(sequence, 0) :]

    def is_leased(self, now: datetime) -> bool:
        return self.lease is not None and self.lease.until > now

    def is_expired(self, now: datetime) -> bool:
        """Its `expiresAt` has passed with nothing on record that may still land."""
        expires_at = self.request.expires_at
        return expires_at is not None and now >= expires_at and self.transaction is None

    def is_overdue(self, now: datetime) -> bool:
        """Nothing has happened for longer than anything should take; at growing intervals once it was reminded of.

        The intervals double, so that the reminders of a long queue do not make it much longer.
        """
        if self.is_settled:
            return False
        lease_end = self.lease.until if self.lease is not None else None
        moments = (self.updated_at, lease_end, self.retry_at, self.reminded_at)
        still_since = max(moment for moment in moments if moment is not None)
        return now >= still_since + PATIENCE * (1 << min(self.reminders, MOST_DOUBLINGS))

    def reminded(self, at: datetime) -> Self:
        return replace(self, reminders=self.reminders + 1, reminded_at=at)

    def accepted(self, at: datetime) -> Self:
        """Counts as told: whoever comes to watch the order is first given all that is stored of it."""
        pending = self._with_event(Status.PENDING, at, {"message": "Order received and queued for processing"})
        return replace(pending, sent_through=pending.sequence)

    def claimed(self, lease: Lease, at: datetime) -> Self:
        """Under a new fence; routing, unless a transaction is on record: then its fate comes first."""
        held = replace(
            self,
            fence=self.fence + 1,
            claim_id=lease.claim_id,
            lease=lease,
            retry_at=None,
            reminders=0,
            reminded_at=None,
        ).visited(lease.token, lease.message_id)
        if self.transaction is not None:
            return held
        return held._moved(Status.ROUTING, at, {"message": "Comparing venues"})

    def routed(self, answers: Answers, route: Route, at: datetime) -> Self:
        """The first accepted quote fixes the floor, unless the client did."""
        limit = self.limit
        if limit is None:
            limit = self.request.limit_for(route)
        facts = events.building(answers, route) | events.limit_fact(self.request.swap, limit)
        return replace(self, limit=limit, route=route)._moved(Status.BUILDING, at, facts)

    def submitted(self, transaction: Transaction, at: datetime) -> Self:
        assert self.limit is not None
        assert self.route is not None
        facts = events.submitted(self.request.swap, transaction, self.limit, self.route.dex)
        return replace(self, transaction=transaction)._moved(Status.SUBMITTED, at, facts)

    def confirmed(self, fill: Landed, at: datetime) -> Self:
        assert self.transaction is not None
        assert self.route is not None
        facts = events.confirmed(self.request.swap, self.route, self.transaction.signature, fill)
        return self._settled()._moved(Status.CONFIRMED, at, facts)

    def retrying(
        self, error: AttemptFailed, retry_at: datetime, at: datetime, *, answers: Answers | None = None
    ) -> Self:
        """The attempt failed and another will follow at `retry_at`. `answers` are the quotes that led to it."""
        facts = self._attempted() | events.failure(error, code=error.reason, retry_at=retry_at, answers=answers)
        facts["message"] = f"Attempt {self.attempt} failed; trying again"
        moved = replace(self._settled(), retry_at=retry_at)._moved(Status.PENDING, at, facts)
        return replace(moved, failed_attempts=self.failed_attempts + 1)

    def failed(self, error: AttemptFailed, at: datetime, *, answers: Answers | None = None) -> Self:
        """For good: the error leaves no hope, or this was the last attempt."""
        code = ErrorCode.ATTEMPTS_EXHAUSTED if error.may_work and self.is_last_attempt else error.reason
        facts = self._attempted() | events.failure(error, code=code, answers=answers)
        facts["message"] = f"Order failed at attempt {self.attempt} of {MAX_ATTEMPTS}"
        moved = self._settled()._moved(Status.FAILED, at, facts)
        return replace(moved, failed_attempts=self.failed_attempts + 1)

    def expired(self, claim_id: str, at: datetime) -> Self:
        error = AttemptFailed(ErrorCode.ORDER_EXPIRED, "The order expired before it was submitted", may_work=False)
        facts = events.failure(error, code=error.reason) | {"message": "Order expired"}
        return replace(self._settled(), claim_id=claim_id)._moved(Status.EXPIRED, at, facts)

    def replayed(self, claim_id: str, at: datetime) -> Self:
        """A fresh set of attempts under the old floor."""
        if not self.is_exhausted:
            raise IllegalTransition(f"only an exhausted order is replayed, not a {self.status} one")
        fresh = replace(self, failed_attempts=0, claim_id=claim_id)
        return fresh._moved(Status.PENDING, at, {"message": "Replayed by an operator"})

    def visited(self, token: str, message_id: str) -> Self:
        """A message had its turn. Only the last ones are remembered: an order must not outgrow its item."""
        return replace(self, claimants=tuple(dict.fromkeys((*self.claimants, token, message_id)))[-MAX_CLAIMANTS:])

    def released(self) -> Self:
        """Free for the next claim, with nothing visible changed."""
        return replace(self, lease=None)

    def _settled(self) -> Self:
        return replace(self, transaction=None, lease=None, retry_at=None)

    def _attempted(self) -> Event:
        facts: dict[str, Any] = {}
        if self.transaction is not None:
            facts["signature"] = self.transaction.signature
        if self.route is not None:
            facts["dex"] = self.route.dex
        return facts

    def _moved(self, status: Status, at: datetime, facts: Event) -> Self:
        if status not in TRANSITIONS[self.status]:
            raise IllegalTransition(f"{self.status} may not become {status}")
        return self._with_event(status, at, facts)

    def _with_event(self, status: Status, at: datetime, facts: Event) -> Self:
        event: Event = {
            "orderId": self.order_id,
            "sequence": self.sequence + 1,
            "status": status.value,
            "progress": PROGRESS[status],
            "attempt": self.attempt,
            "timestamp": timestamp(at),
            **facts,
        }
        return replace(self, status=status, events=(*self.events, event))
