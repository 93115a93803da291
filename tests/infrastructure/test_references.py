"""CloudFormation could make every variant of the stack: nothing waits for itself, nothing names what is not there."""

from __future__ import annotations

import pytest

from tests.infrastructure.stack import SOURCE, VARIANTS, stack_with


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_resource_waits_for_itself(variant: str) -> None:
    stack = stack_with(**VARIANTS[variant]).decided
    assert not [name for name in stack.resources if name in stack.needed_by(name)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_reference_leads_to_a_resource_or_a_parameter(variant: str) -> None:
    stack = stack_with(**VARIANTS[variant]).decided
    known = {*stack.resources, *SOURCE["Parameters"]}
    unknown = {name: stack.named_by(name) - known for name in stack.resources}
    assert not {name: names for name, names in unknown.items() if names}
