"""The Jinja templates of everything that opencode-litellm emits; a package so that editable installs find them."""
