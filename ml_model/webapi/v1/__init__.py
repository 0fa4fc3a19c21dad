"""The REST API ``/v1``: what the pages show and change, for programs (docs/api.md).

A module for each resource; rights, audit entries and rules are those of ``semg.store.access`` and ``semg.commands``.
"""
