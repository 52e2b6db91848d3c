"""Formats on disk: chunks and their seal, tables, checkpoints, groups of results, and where they came from."""
