"""Runnable trainings and the ``salreg`` command."""
