"""Settings, telemetry, fault points, and one small composition root a function."""
