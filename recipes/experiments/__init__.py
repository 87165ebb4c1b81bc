"""One module per family of recipes; ``build(config)`` makes its data and module."""
