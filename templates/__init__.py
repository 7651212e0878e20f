"""Everything that opencode-litellm emits, as Jinja templates. A package, so that editable installs find it."""
