"""The world of the tests and the demo: the real programs, and loopback servers that stand in for others."""
