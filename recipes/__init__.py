"""Runnable trainings, in folders of which each imports only those after it.

``command`` (the ``salreg`` command) -> ``training`` (a configuration, trained) -> ``experiments`` (the recipes) -> ``networks``
-> ``data``.
"""
