"""Every model of a LiteLLM proxy in opencode, without a plugin and without listing them by hand."""

__version__ = "0.1.0"
