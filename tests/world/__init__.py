"""The world that the tests and the demo run in: the real programs, and loopback servers that stand in for others."""
