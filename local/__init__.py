"""The whole stack on one machine: embedded Postgres, an AWS emulator, and the template deployed to it."""
