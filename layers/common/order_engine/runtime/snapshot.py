"""SnapStart: what init leaves behind is copied, and every copy starts from there, at any time later.

Nothing is connected at the end of init, and all that the engine draws comes from the operating system, so little needs
to be done about it.
"""

from __future__ import annotations

import random
from importlib import import_module

_LOADED_FOR_THE_FIRST_LINE = (
    "aws_lambda_powertools.logging.formatter",
    "aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch",
)


def prepare_for_snapshot(*later: str) -> None:
    """Have `later`, modules that a function usually imports when it first needs them, in every copy from the start.

    Does nothing where no snapshots are taken of anything.
    """
    try:
        # Lambda's runtime brings it.
        hooks = import_module("snapshot_restore_py")
    except ImportError:
        return
    for module in (*_LOADED_FOR_THE_FIRST_LINE, *later):
        hooks.register_before_snapshot(import_module, module)
    # Botocore spreads its retries by it: copies that go on in step would retry in step.
    hooks.register_after_restore(random.seed)
