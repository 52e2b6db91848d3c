# The library and the commands: those of the Snakefile's own checkout, else the installed ones. And how the Snakefile is
# used: in a run of its own, or as a module of another Snakefile, which has files, hooks and targets of its own.

import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

IS_MODULE = not workflow.modifier.is_main_snakefile()
IS_FIRST = workflow.default_target is None

checkout = Path(
    str(workflow.current_basedir.get_path_or_uri(secret_free=True))
).parents[1]
if (checkout / "scripts").is_dir():
    sys.path.insert(0, str(checkout / "scripts"))
try:
    from unchoke.machine.commands import find_own_commands
except ModuleNotFoundError:
    raise WorkflowError(
        "The package unchoke is missing in the environment of Snakemake: its rules call commands on this disk. "
        "Install it there from the repository (pip install), or name the Snakefile of a checkout."
    ) from None
if IS_MODULE and workflow.modifier.path_modifier.prefix:
    raise WorkflowError(
        "The module of unchoke cannot have a prefix: its commands find results by their names. "
        "Name the dataset otherwise (dataset.name), or run in another folder (--directory)."
    )
find_own_commands(checkout / "scripts")
