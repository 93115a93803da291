"""From the venues' answers to one route: which quotes to believe, and which to take."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from order_engine.domain.errors import AttemptFailed, ErrorCode, QuoteFailed
from order_engine.domain.events import NATIVE, WRAPPED, amount, bps
from order_engine.domain.quotes import Leg, Quote, Route, Swap, SwapMode, VenueAnswer


def check(swap: Swap, quote: object) -> Quote:
    """The quote itself, if it can be an answer to `swap`; raises `QuoteFailed` when it is nonsense."""
    complaint = _complaint(swap, quote)
    if complaint or not isinstance(quote, Quote):
        detail = f"the venue's quote makes no sense: {complaint}"
        raise QuoteFailed(ErrorCode.VENUE_UNAVAILABLE, detail, may_work=True)
    return quote


def choose(swap: Swap, answers: Mapping[str, VenueAnswer], max_impact_bps: int) -> Route:
    """The best net price among the quotes within the price impact limit; the venue's name decides a tie.

    Raises `AttemptFailed` when no venue has a quote, or none within the limit.
    """
    quotes = {name: answer for name, answer in answers.items() if isinstance(answer, Quote)}
    if not quotes:
        raise _without_quotes(answers)
    fitting = {name: quote for name, quote in quotes.items() if quote.impact_bps <= max_impact_bps}
    if not fitting:
        raise _too_high(quotes, max_impact_bps)
    best, *losers = sorted(fitting, key=lambda name: (*_cost(swap, fitting[name]), name))
    quote = fitting[best]
    return Route(
        legs=(_leg(best, quote),),
        amount_in=quote.amount_in,
        amount_out=quote.amount_out,
        impact_bps=quote.impact_bps,
        improvement_bps=_improvement_bps(swap, quote, fitting[losers[0]]) if losers else Decimal(0),
        reason=_reason(swap, best, losers, quotes, fitting),
    )


def _complaint(swap: Swap, quote: object) -> str:
    if not isinstance(quote, Quote):
        return "not a quote"
    # By exact type: what comes from outside may be a float, a string or True.
    if any(type(units) is not int for units in (quote.amount_in, quote.amount_out, quote.fee)):
        return "an amount is not a whole number of base units"
    if not isinstance(quote.impact_bps, Decimal) or not quote.impact_bps.is_finite() or quote.impact_bps < 0:
        return "the price impact is not a positive number"
    if not isinstance(quote.pool, str) or not isinstance(quote.dex, str):
        return "the pool has no name"
    if (quote.token_in, quote.token_out) != (swap.token_in, swap.token_out):
        return "other tokens than asked for"
    if swap.amount != (quote.amount_in if swap.mode is SwapMode.EXACT_IN else quote.amount_out):
        return "another amount than asked for"
    if quote.amount_in <= 0 or quote.amount_out <= 0:
        return "an amount is not positive"
    if not 0 <= quote.fee < quote.amount_in:
        return "the fee is negative, or all of the amount"
    return ""


def _cost(swap: Swap, quote: Quote) -> tuple[int]:
    """Sorts the better price first."""
    return (-quote.amount_out,) if swap.mode is SwapMode.EXACT_IN else (quote.amount_in,)


def _leg(dex: str, quote: Quote) -> Leg:
    token_in, token_out = (WRAPPED if token == NATIVE else token for token in (quote.token_in, quote.token_out))
    return Leg(dex, quote.pool, token_in, token_out, quote.amount_in, quote.amount_out, quote.fee)


def _improvement_bps(swap: Swap, best: Quote, loser: Quote) -> Decimal:
    if swap.mode is SwapMode.EXACT_IN:
        return Decimal(best.amount_out - loser.amount_out) * 10_000 / loser.amount_out
    return Decimal(loser.amount_in - best.amount_in) * 10_000 / loser.amount_in


def _reason(
    swap: Swap, best: str, losers: list[str], quotes: Mapping[str, Quote], fitting: Mapping[str, Quote]
) -> str:
    if len(quotes) == 1:
        return f"only {best} answered"
    if not losers:
        return f"only {best} is within the price impact limit"
    quote, loser = fitting[best], losers[0]
    exact_in = swap.mode is SwapMode.EXACT_IN
    gives = (
        f"gives {amount(quote.amount_out, swap.token_out)} {swap.token_out}"
        if exact_in
        else f"takes {amount(quote.amount_in, swap.token_in)} {swap.token_in}"
    )
    if _cost(swap, quote) == _cost(swap, fitting[loser]):
        return f"{best} {gives}, the same as {loser}"
    gain = bps(_improvement_bps(swap, quote, fitting[loser]))
    return f"{best} {gives}, {gain} bps {'more' if exact_in else 'less'} than {loser}"


def _too_high(quotes: Mapping[str, Quote], max_impact_bps: int) -> AttemptFailed:
    least = min(quote.impact_bps for quote in quotes.values())
    detail = f"the price impact would be {bps(least)} bps, more than the {max_impact_bps} bps allowed"
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
