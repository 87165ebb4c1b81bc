"""The ``salreg`` command."""
