"""Runnable trainings, on shelves of which each imports only those behind it.

``command`` (the ``salreg`` command) -> ``training`` (a configuration, trained) -> ``experiments`` (the recipes) -> ``networks``
-> ``data``.
"""
