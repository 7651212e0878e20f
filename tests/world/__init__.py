"""The world of the tests and the demo: the real programs, and loopback servers instead of others."""
