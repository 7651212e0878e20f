"""Python runs this before LiteLLM: a quarter of its start is the search for garbage among what it imports."""

import gc

gc.disable()
