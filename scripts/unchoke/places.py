"""Where the files lie that belong to the workflow: around the library in a checkout, inside it in a wheel.

    checkout/workflow/Snakefile               site-packages/unchoke/checkout/workflow/Snakefile
    checkout/scripts/build_manifest.py        site-packages/unchoke/checkout/scripts/build_manifest.py
    checkout/scripts/unchoke/places.py        site-packages/unchoke/places.py

An editable install is a checkout. Paths are absolute text, links followed. Every client reads this module, so it
imports `os` alone.
"""

import os

LIBRARY = os.path.dirname(os.path.realpath(__file__))
"""The package `unchoke`."""
LIBRARIES = os.path.dirname(LIBRARY)
"""The folder to import it from: `scripts` of a checkout, else `site-packages`."""
_INSIDE = os.path.join(LIBRARY, "checkout")  # setup.py puts it there
IS_WHEEL = os.path.isdir(_INSIDE)
CHECKOUT = _INSIDE if IS_WHEEL else os.path.dirname(LIBRARIES)
"""The folder of `workflow`, `scripts` and `config`."""
SCRIPTS = os.path.join(CHECKOUT, "scripts")
"""The commands and their client, `warm`."""
CODE = LIBRARY if IS_WHEEL else SCRIPTS
"""Holds library and commands, and nothing else."""
SNAKEFILE = os.path.join(CHECKOUT, "workflow", "Snakefile")
PROFILES = os.path.join(CHECKOUT, "workflow", "profiles")
"""Snakemake itself finds `default` among them, beside the Snakefile."""
EXAMPLES = os.path.join(CHECKOUT, "config", "examples")


def find_beside(path: str) -> str:
    """`path`, or that of the checkout where the working directory has none: examples name files of the checkout."""
    own = os.path.join(CHECKOUT, path)
    return own if os.path.exists(own) and not os.path.exists(path) else path
