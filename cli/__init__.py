"""Commands for operators, against the local stack or one on AWS."""
