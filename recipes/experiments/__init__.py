"""One module per family of recipes; ``build(config)`` returns its data and module."""
