"""Unchoke: frozen image features once, many heads in minutes, nothing lost.

The letters behind the underscore of an array's name give its axes:

    N  images      D  feature dimensions    C  classes
    B  a batch     H  height (px)           W  width (px)
    T  tokens      P  prefix tokens (class token, registers)

Imports run one way, and ``tests/unchoke/test_layers.py`` holds it:
commands -> stages -> effects -> pure -> errors, versions.
"""

__version__ = "0.1.0"
