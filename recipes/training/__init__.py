"""Trains and tests a configuration in a new run folder."""
