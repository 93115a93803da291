"""Prints what SAM makes of the template, with all that can be asked for in it, for who reads CloudFormation only."""

from __future__ import annotations

import json
import sys

from tests.infrastructure.stack import VARIANTS, processed

if __name__ == "__main__":
    json.dump(processed(**VARIANTS["own names"] | {"UseDatabaseProxy": "on"}), sys.stdout, indent=1)
