"""CloudFormation could make every variant of the stack: nothing waits for itself, nothing names what is not there."""

from __future__ import annotations

import json

import pytest
from cfnlint.api import lint  # type: ignore[import-untyped]

from tests.infrastructure.stack import SOURCE, VARIANTS, processed, stack_with

READ_BY_SAM = "W7001 Mapping 'GradualDeployment' is defined but not used"


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


def test_what_sam_makes_of_the_template_is_as_cloudformation_wants_it() -> None:
    """With all that can be asked for, since what is not asked for is there too, under conditions that do not hold."""
    native = processed(**VARIANTS["own names"] | {"UseDatabaseProxy": "on"})
    findings = lint(json.dumps(native), regions=["us-east-1"])
    assert [str(one) for one in findings if f"{one.rule.id} {one.message}" != READ_BY_SAM] == []
