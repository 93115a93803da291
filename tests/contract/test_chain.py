"""What every chain keeps, held against the simulated chain on DynamoDB and the fake; then what only the former does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Protocol

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from moto import mock_aws

from order_engine.adapters.chain import SimulatedChain, base58
from order_engine.adapters.ledger import Ledger
from order_engine.adapters.market import Market, units_worth
from order_engine.adapters.venues import VENUES, programs
from order_engine.adapters.venues.simulated import price
from order_engine.domain.errors import ErrorCode, Unavailable
from order_engine.domain.quotes import Leg, Quote, Swap, SwapMode
from order_engine.domain.transactions import BLOCKS_TO_LIVE, Dead, Draft, Landed, Reverted, Transaction, Unknown
from order_engine.service.ports import Chain
from tests.fakes import FrozenClock, ScriptedChain, reverts

SEED = 42
PROGRAMS = programs(Market(SEED))

SELL = Swap("SOL", "USDC", 1_500_000_000, SwapMode.EXACT_IN)
BUY = Swap("USDC", "SOL", 1_500_000_000, SwapMode.EXACT_OUT)
BUY_WITH_SOL = Swap("SOL", "USDC", 200_000_000, SwapMode.EXACT_OUT)

TABLE = "ledger"


class World(Protocol):
    """A chain, the time it lives in, and how to make it misbehave."""

    @property
    def clock(self) -> FrozenClock: ...

    @property
    def chain(self) -> Chain: ...

    def swaps(self) -> int:
        """How many successful swaps its ledger has, visible yet or not."""
        ...

    def revert_everything(self) -> None: ...

    def drop_sends(self, dropping: bool) -> None: ...


class ScriptedWorld:
    def __init__(self) -> None:
        self.clock = FrozenClock()
        self.chain = ScriptedChain(self.clock)

    def swaps(self) -> int:
        return len(self.chain.landed)

    def revert_everything(self) -> None:
        self.chain.fate = reverts

    def drop_sends(self, dropping: bool) -> None:
        self.chain.is_dropping = dropping


@dataclass
class SimulatedWorld:
    dynamodb: Any
    clock: FrozenClock
    chain: SimulatedChain

    def entries(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.dynamodb.scan(TableName=TABLE, ConsistentRead=True)["Items"]
        return items

    def swaps(self) -> int:
        return sum(entry["outcome"]["S"] == "landed" for entry in self.entries())

    def revert_everything(self) -> None:
        self.chain = replace(self.chain, revert_rate=1)

    def drop_sends(self, dropping: bool) -> None:
        self.chain = replace(self.chain, drop_rate=1 if dropping else 0)


@pytest.fixture
def simulated() -> Iterator[SimulatedWorld]:
    with mock_aws():
        client = boto3.client(
            "dynamodb", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "signature", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "signature", "KeyType": "HASH"}],
        )
        clock = FrozenClock()
        chain = SimulatedChain(ledger=Ledger(client, TABLE), clock=clock, programs=PROGRAMS, seed=SEED)
        yield SimulatedWorld(client, clock, chain)


@pytest.fixture(params=["simulated", "scripted"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "scripted":
        return ScriptedWorld()
    simulated: SimulatedWorld = request.getfixturevalue("simulated")
    return simulated


def draft(
    world: World, swap: Swap = SELL, *, dexes: tuple[str, ...] = ("raydium",), slippage_bps: int = 100, memo: str = "1"
) -> Draft:
    """As the engine makes it from quotes of this moment; over several venues, each gets an equal part."""
    part = replace(swap, amount=swap.amount // len(dexes))
    quotes = [price(PROGRAMS[dex], part, world.clock.now()) for dex in dexes]
    limit = swap.limit(
        sum(quote.amount_in for quote in quotes), sum(quote.amount_out for quote in quotes), slippage_bps
    )
    height = asyncio.run(world.chain.height())
    return Draft(memo, swap, tuple(_leg(quote) for quote in quotes), limit, height + BLOCKS_TO_LIVE)


def test_a_transaction_is_unknown_until_it_lands_and_landed_from_then_on(world: World) -> None:
    transaction = world.chain.sign(draft(world))

    async def story() -> None:
        assert await world.chain.look_up(transaction) == Unknown()
        await world.chain.send(transaction)
        assert await world.chain.look_up(transaction) == Unknown()
        await world.clock.sleep(3)
        first = await world.chain.look_up(transaction)
        assert isinstance(first, Landed)
        assert SELL.keeps(0, first.amount_in, first.amount_out)
        assert (first.amount_in, first.network_fee) == (SELL.amount, 5_000)
        await world.clock.sleep(600)
        assert await world.chain.look_up(transaction) == first

    asyncio.run(story())


def test_a_transaction_lands_once_however_often_it_is_sent(world: World) -> None:
    transaction = world.chain.sign(draft(world))

    async def story() -> None:
        await asyncio.gather(*(world.chain.send(transaction) for _ in range(5)))
        await world.clock.sleep(3)
        await world.chain.send(transaction)

    asyncio.run(story())
    assert world.swaps() == 1


def test_a_reverted_transaction_swaps_nothing_and_says_why(world: World) -> None:
    world.revert_everything()
    transaction = world.chain.sign(draft(world))

    async def story() -> None:
        await world.chain.send(transaction)
        await world.clock.sleep(3)
        assert await world.chain.look_up(transaction) == Reverted(
            "raydium", 6005, "ExceededSlippage", ErrorCode.SLIPPAGE_TOLERANCE_EXCEEDED, network_fee=5_000
        )

    asyncio.run(story())
    assert world.swaps() == 0


def test_a_dropped_send_is_never_seen_and_sending_again_helps(world: World) -> None:
    transaction = world.chain.sign(draft(world))

    async def story() -> None:
        world.drop_sends(True)
        await world.chain.send(transaction)
        await world.clock.sleep(3)
        assert await world.chain.look_up(transaction) == Unknown()
        world.drop_sends(False)
        await world.chain.send(transaction)
        await world.clock.sleep(3)
        assert isinstance(await world.chain.look_up(transaction), Landed)

    asyncio.run(story())


def test_a_transaction_is_dead_only_past_its_last_valid_block(world: World) -> None:
    transaction = world.chain.sign(draft(world))

    async def story() -> None:
        await world.clock.sleep(BLOCKS_TO_LIVE * 0.4)
        assert await world.chain.height() == transaction.last_valid_block_height
        assert await world.chain.look_up(transaction) == Unknown()
        await world.clock.sleep(0.4)
        assert await world.chain.look_up(transaction) == Dead()

    asyncio.run(story())


def test_dead_stands_for_good_even_when_a_clock_runs_behind(world: World) -> None:
    transaction = world.chain.sign(draft(world))

    async def story() -> None:
        await world.clock.sleep(61)
        assert await world.chain.look_up(transaction) == Dead()
        await world.clock.sleep(-60)
        await world.chain.send(transaction)
        await world.clock.sleep(60)
        assert await world.chain.look_up(transaction) == Dead()

    asyncio.run(story())
    assert world.swaps() == 0


def test_landing_stands_though_the_last_valid_block_has_long_passed(world: World) -> None:
    transaction = world.chain.sign(draft(world))

    async def story() -> None:
        await world.chain.send(transaction)
        await world.clock.sleep(3_600)
        assert isinstance(await world.chain.look_up(transaction), Landed)

    asyncio.run(story())


def test_a_send_past_the_last_valid_block_is_refused(world: World) -> None:
    transaction = world.chain.sign(draft(world))

    async def story() -> None:
        await world.clock.sleep(61)
        await world.chain.send(transaction)

    asyncio.run(story())
    assert world.swaps() == 0


def test_signing_is_pure_and_any_change_makes_another_signature(world: World) -> None:
    first = draft(world)
    others = [
        replace(first, memo="2"),
        replace(first, limit=first.limit + 1),
        replace(first, last_valid_block_height=1),
    ]

    assert world.chain.sign(first) == world.chain.sign(replace(first))
    assert len({world.chain.sign(each).signature for each in [first, *others]}) == 4


# What only the simulated chain does.


@pytest.mark.parametrize("dex", VENUES)
@pytest.mark.parametrize("swap", [SELL, BUY, BUY_WITH_SOL])
def test_a_fill_is_what_the_pool_gives_at_the_moment_of_landing(
    simulated: SimulatedWorld, dex: str, swap: Swap
) -> None:
    chain = replace(simulated.chain, landing_min_ms=2_500, landing_max_ms=2_500)
    transaction = chain.sign(draft(simulated, swap, dexes=(dex,)))
    expected = price(PROGRAMS[dex], swap, simulated.clock.now() + timedelta(seconds=2.5))

    async def story() -> None:
        await chain.send(transaction)
        await simulated.clock.sleep(2.5)
        fee_token = "wSOL" if swap.token_in == "SOL" else swap.token_in
        assert await chain.look_up(transaction) == Landed(
            expected.amount_in, expected.amount_out, ((dex, fee_token, expected.fee),), 5_000
        )

    asyncio.run(story())


def test_a_route_of_two_legs_lands_whole_under_one_limit(simulated: SimulatedWorld) -> None:
    transaction = simulated.chain.sign(draft(simulated, dexes=("raydium", "meteora")))

    async def story() -> None:
        await simulated.chain.send(transaction)
        await simulated.clock.sleep(3)
        outcome = await simulated.chain.look_up(transaction)
        assert isinstance(outcome, Landed)
        assert outcome.amount_in == SELL.amount
        assert [dex for dex, _, _ in outcome.venue_fees] == ["raydium", "meteora"]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("dex", "code"),
    [("raydium", (6005, "ExceededSlippage")), ("meteora", (6003, "ExceededAmountSlippageTolerance"))],
)
@pytest.mark.parametrize(("swap", "worse"), [(SELL, 2), (BUY, -2)])
def test_a_limit_that_the_market_does_not_keep_reverts_with_the_venues_own_code(
    simulated: SimulatedWorld, dex: str, code: tuple[int, str], swap: Swap, worse: int
) -> None:
    made = draft(simulated, swap, dexes=(dex,))
    transaction = simulated.chain.sign(replace(made, limit=made.limit * (100 + worse) // 100))

    async def story() -> None:
        await simulated.chain.send(transaction)
        await simulated.clock.sleep(3)
        outcome = await simulated.chain.look_up(transaction)
        assert outcome == Reverted(dex, *code, ErrorCode.SLIPPAGE_TOLERANCE_EXCEEDED, network_fee=5_000)

    asyncio.run(story())


def test_liquidity_that_has_gone_reverts_with_the_venues_own_code(simulated: SimulatedWorld) -> None:
    deep = Swap("SOL", "USDC", units_worth(10_000_000, "SOL"), SwapMode.EXACT_IN)
    leg = Leg("meteora", "wSOL-USDC", "wSOL", "USDC", deep.amount, 1, 0)
    height = asyncio.run(simulated.chain.height())
    transaction = simulated.chain.sign(Draft("1", deep, (leg,), 1, height + BLOCKS_TO_LIVE))

    async def story() -> None:
        await simulated.chain.send(transaction)
        await simulated.clock.sleep(3)
        outcome = await simulated.chain.look_up(transaction)
        assert outcome == Reverted(
            "meteora", 6012, "PairInsufficientLiquidity", ErrorCode.INSUFFICIENT_LIQUIDITY, network_fee=5_000
        )

    asyncio.run(story())


@pytest.mark.parametrize(
    ("swap", "steps"),
    [
        (SELL, [b'"do":"wrapSol","lamports":1500000000', b'"do":"swap"']),
        (BUY, [b'"do":"swap"', b'"do":"unwrapSol"']),
        (BUY_WITH_SOL, [b'"do":"wrapSol"', b'"do":"swap"', b'"do":"unwrapSol"']),
        (Swap("USDC", "RAY", 10**6, SwapMode.EXACT_IN), [b'"do":"swap"']),
    ],
)
def test_sol_is_wrapped_before_the_swap_and_unwrapped_after_it(
    simulated: SimulatedWorld, swap: Swap, steps: list[bytes]
) -> None:
    payload = simulated.chain.sign(draft(simulated, swap)).payload
    places = [payload.find(step) for step in steps]

    assert -1 not in places
    assert places == sorted(places)
    assert payload.count(b'"do"') == len(steps)


def test_with_no_landing_delay_a_send_lands_at_once(simulated: SimulatedWorld) -> None:
    chain = replace(simulated.chain, landing_min_ms=0, landing_max_ms=0)
    transaction = chain.sign(draft(simulated))

    async def story() -> None:
        await chain.send(transaction)
        assert isinstance(await chain.look_up(transaction), Landed)

    asyncio.run(story())


def test_a_landing_takes_as_long_as_the_seed_says_within_its_range(simulated: SimulatedWorld) -> None:
    send_all(simulated.chain, many_transactions(simulated, 30))

    landings = {entry["landsAt"]["S"][-7:] for entry in simulated.entries()}
    assert len(landings) > 20
    assert all("02.000Z" <= landing <= "03.000Z" for landing in landings)


def test_what_would_land_after_the_last_valid_block_never_lands(simulated: SimulatedWorld) -> None:
    transaction = simulated.chain.sign(draft(simulated))

    async def story() -> None:
        await simulated.clock.sleep(59)
        await simulated.chain.send(transaction)
        await simulated.clock.sleep(5)
        assert await simulated.chain.look_up(transaction) == Dead()

    asyncio.run(story())


def test_a_send_that_comes_between_a_look_up_and_its_burial_stands(simulated: SimulatedWorld) -> None:
    """Two workers, one of them with a clock a minute ahead: the ledger decides, once."""
    transaction = simulated.chain.sign(draft(simulated))
    ahead = FrozenClock(simulated.clock.now() + timedelta(seconds=61))

    class LateReader:
        """Reads nothing at first, while the other worker's send comes through."""

        def __init__(self, chain: SimulatedChain) -> None:
            self.is_first = True
            self.chain = chain

        def batch_get_item(self, **parameters: Any) -> Any:
            answer = simulated.dynamodb.batch_get_item(**parameters)
            if self.is_first:
                self.is_first = False
                asyncio.run(self.chain.send(transaction))
            return answer

        def put_item(self, **parameters: Any) -> Any:
            return simulated.dynamodb.put_item(**parameters)

    late = replace(simulated.chain, ledger=Ledger(LateReader(simulated.chain), TABLE), clock=ahead)

    assert isinstance(asyncio.run(late.look_up(transaction)), Landed)
    assert simulated.swaps() == 1


def test_reverts_and_drops_come_at_their_rates(simulated: SimulatedWorld) -> None:
    send_all(replace(simulated.chain, revert_rate=0.1, drop_rate=0.5), many_transactions(simulated, 200))

    assert 80 <= len(simulated.entries()) <= 120
    assert 0.05 <= 1 - simulated.swaps() / len(simulated.entries()) <= 0.15


def test_a_dropped_send_may_come_through_a_moment_later(simulated: SimulatedWorld) -> None:
    chain = replace(simulated.chain, drop_rate=0.5)
    transactions = many_transactions(simulated, 20)
    for _ in range(10):
        send_all(chain, transactions)
        asyncio.run(simulated.clock.sleep(0.001))

    assert simulated.swaps() == 20


def test_an_entry_tells_whose_it_is_and_goes_after_30_days(simulated: SimulatedWorld) -> None:
    asyncio.run(simulated.chain.send(simulated.chain.sign(draft(simulated, memo="order-1:1"))))

    (entry,) = simulated.entries()
    assert entry["orderMemo"] == {"S": "order-1:1"}
    assert entry["sentAt"] == {"S": "2026-11-21T12:00:00.000Z"}
    assert int(entry["ttl"]["N"]) == simulated.clock.now().timestamp() + 30 * 86_400


def test_bytes_that_were_changed_after_signing_are_refused(simulated: SimulatedWorld) -> None:
    signed = simulated.chain.sign(draft(simulated))
    forged = Transaction(signed.signature, signed.payload.replace(b"raydium", b"meteora"), 10**12)

    with pytest.raises(ValueError, match="signature"):
        asyncio.run(simulated.chain.send(forged))
    assert simulated.entries() == []


def test_signatures_look_like_solanas(simulated: SimulatedWorld) -> None:
    signature = simulated.chain.sign(draft(simulated)).signature

    assert 86 <= len(signature) <= 88
    assert signature.isalnum()
    assert not set(signature) & set("0OIl")


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"", ""), (b"\0\0\1", "112"), (b"Hello World!", "2NEpo7TZRRrLZSi2U"), (b"\xff" * 8, "jpXCZedGfVQ")],
)
def test_base58_agrees_with_the_published_vectors(data: bytes, text: str) -> None:
    assert base58(data) == text


class BrokenClient:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def batch_get_item(self, **_: Any) -> Any:
        raise self._error

    put_item = batch_get_item


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "ThrottlingException"}}, "PutItem"),
        ClientError({"Error": {"Code": "InternalServerError"}}, "PutItem"),
        EndpointConnectionError(endpoint_url="https://dynamodb"),
        ReadTimeoutError(endpoint_url="https://dynamodb"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("method", [SimulatedChain.send, SimulatedChain.look_up])
def test_a_ledger_that_is_away_makes_the_chain_unavailable(
    simulated: SimulatedWorld, error: Exception, method: Callable[..., Any]
) -> None:
    transaction = simulated.chain.sign(draft(simulated))
    chain = replace(simulated.chain, ledger=Ledger(BrokenClient(error), TABLE))

    with pytest.raises(Unavailable) as away:
        asyncio.run(method(chain, transaction))
    assert away.value.dependency == "chain"
    assert away.value.__cause__ is error


def many_transactions(world: SimulatedWorld, count: int) -> list[Transaction]:
    first = draft(world)
    return [world.chain.sign(replace(first, memo=str(memo))) for memo in range(count)]


def send_all(chain: Chain, transactions: list[Transaction]) -> None:
    async def send() -> None:
        await asyncio.gather(*(chain.send(transaction) for transaction in transactions))

    asyncio.run(send())


def _leg(quote: Quote) -> Leg:
    token_in, token_out = ("wSOL" if token == "SOL" else token for token in (quote.token_in, quote.token_out))
    return Leg(quote.dex, quote.pool, token_in, token_out, quote.amount_in, quote.amount_out, quote.fee)
