"""From the venues' answers to one route: which quotes to believe, and which to take."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from order_engine.domain.errors import AttemptFailed, ErrorCode, QuoteFailed
from order_engine.domain.events import NATIVE, WRAPPED, amount, bps
from order_engine.domain.quotes import Leg, Quote, Route, Swap, SwapMode, VenueAnswer


def check(swap: Swap, quote: object) -> Quote:
    """The quote itself, if it can be an answer to `swap`; raises `QuoteFailed` when it is nonsense."""
    if not isinstance(quote, Quote) or not _is_well_typed(quote):
        raise _nonsense("it is not a quote")
    complaints = {
        "the price impact is negative or not a number": not (quote.impact_bps.is_finite() and quote.impact_bps >= 0),
        "the tokens are not those asked for": (quote.token_in, quote.token_out) != (swap.token_in, swap.token_out),
        "the amount is not the one asked for": _asked_amount(swap, quote) != swap.amount,
        "it takes nothing": quote.amount_in <= 0,
        "it gives nothing": quote.amount_out <= 0,
        "the fee is negative, or all of the amount": not 0 <= quote.fee < quote.amount_in,
    }
    for complaint, applies in complaints.items():
        if applies:
            raise _nonsense(complaint)
    return quote


def choose(swap: Swap, answers: Mapping[str, VenueAnswer], max_impact_bps: Decimal) -> Route:
    """The best net price among the quotes within the price impact limit; the venue's name decides a tie.

    Raises `AttemptFailed` when no venue has a quote, or none within the limit.
    """
    quotes = {name: answer for name, answer in answers.items() if isinstance(answer, Quote)}
    if not quotes:
        raise _without_quotes(answers)
    fitting = {name: quote for name, quote in quotes.items() if quote.impact_bps <= max_impact_bps}
    if not fitting:
        raise _too_high(quotes, max_impact_bps)
    best, *losers = sorted(fitting, key=lambda name: (_cost(swap, fitting[name]), name))
    quote = fitting[best]
    return Route(
        legs=(_leg(best, quote),),
        amount_in=quote.amount_in,
        amount_out=quote.amount_out,
        impact_bps=quote.impact_bps,
        improvement_bps=_improvement_bps(swap, quote, fitting[losers[0]]) if losers else Decimal(0),
        reason=_reason(swap, best, losers, quotes, fitting),
    )


def hold(swap: Swap, route: Route, limit: int) -> None:
    """Raises `AttemptFailed` when the route is worse than the floor allows."""
    if swap.keeps(limit, route.amount_in, route.amount_out):
        return
    if swap.mode is SwapMode.EXACT_IN:
        best, floor = amount(route.amount_out, swap.token_out), amount(limit, swap.token_out)
        detail = f"The best quote gives {best} {swap.token_out}, below the minimum of {floor}"
    else:
        best, ceiling = amount(route.amount_in, swap.token_in), amount(limit, swap.token_in)
        detail = f"The best quote takes {best} {swap.token_in}, above the maximum of {ceiling}"
    raise AttemptFailed(ErrorCode.SLIPPAGE_TOLERANCE_EXCEEDED, detail, may_work=True)


def _is_well_typed(quote: Quote) -> bool:
    # By exact type: a venue's answer comes from outside, where an amount may be a float, a string or True.
    amounts = (quote.amount_in, quote.amount_out, quote.fee)
    return (
        all(type(units) is int for units in amounts)
        and isinstance(quote.impact_bps, Decimal)
        and isinstance(quote.pool, str)
    )


def _asked_amount(swap: Swap, quote: Quote) -> int:
    return quote.amount_in if swap.mode is SwapMode.EXACT_IN else quote.amount_out


def _nonsense(complaint: str) -> QuoteFailed:
    detail = f"the venue's quote makes no sense: {complaint}"
    return QuoteFailed(ErrorCode.VENUE_UNAVAILABLE, detail, may_work=True)


def _cost(swap: Swap, quote: Quote) -> int:
    """The less, the better the net price."""
    return -quote.amount_out if swap.mode is SwapMode.EXACT_IN else quote.amount_in


def _leg(dex: str, quote: Quote) -> Leg:
    token_in, token_out = (WRAPPED if token == NATIVE else token for token in (quote.token_in, quote.token_out))
    return Leg(dex, quote.pool, token_in, token_out, quote.amount_in, quote.amount_out, quote.fee)


def _improvement_bps(swap: Swap, best: Quote, loser: Quote) -> Decimal:
    if swap.mode is SwapMode.EXACT_IN:
        return Decimal(best.amount_out - loser.amount_out) * 10_000 / loser.amount_out
    return Decimal(loser.amount_in - best.amount_in) * 10_000 / loser.amount_in


def _reason(swap: Swap, best: str, losers: list[str], quotes: Mapping[str, Quote], fitting: Mapping[str, Quote]) -> str:
    if len(quotes) == 1:
        return f"only {best} answered"
    if not losers:
        return f"only {best} is within the price impact limit"
    winner, loser = fitting[best], fitting[losers[0]]
    if swap.mode is SwapMode.EXACT_IN:
        price, better = f"gives {amount(winner.amount_out, swap.token_out)} {swap.token_out}", "more than"
    else:
        price, better = f"takes {amount(winner.amount_in, swap.token_in)} {swap.token_in}", "less than"
    is_tie = _cost(swap, winner) == _cost(swap, loser)
    gain = "the same as" if is_tie else f"{bps(_improvement_bps(swap, winner, loser))} bps {better}"
    return f"{best} {price}, {gain} {losers[0]}"


def _too_high(quotes: Mapping[str, Quote], max_impact_bps: Decimal) -> AttemptFailed:
    least = min(quote.impact_bps for quote in quotes.values())
    detail = f"the price impact would be {bps(least)} bps, more than the {bps(max_impact_bps)} bps allowed"
    return AttemptFailed(ErrorCode.PRICE_IMPACT_TOO_HIGH, detail, may_work=False)


def _without_quotes(answers: Mapping[str, VenueAnswer]) -> AttemptFailed:
    failures = {name: answer for name, answer in answers.items() if isinstance(answer, QuoteFailed)}
    detail = "; ".join(["no venue has a quote", *(f"{name}: {failure.detail}" for name, failure in failures.items())])
    passing = [failure.reason for failure in failures.values() if failure.may_work]
    if passing:
        return AttemptFailed(passing[0], detail, may_work=True)
    no_route = all(failure.reason is ErrorCode.NO_ROUTE_FOUND for failure in failures.values())
    reason = ErrorCode.NO_ROUTE_FOUND if no_route else ErrorCode.INSUFFICIENT_LIQUIDITY
    return AttemptFailed(reason, detail, may_work=False)
