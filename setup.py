"""Puts workflow, commands and examples into the wheel, below `unchoke/checkout`; unchoke/places.py finds them."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

PARTS = ("workflow/**/*", "scripts/*.py", "scripts/warm", "config/**/*", "environment.yml")


class BuildWithWorkflow(build_py):
    """The library, and what a checkout holds beside it; an editable install needs no copy."""

    def _copies(self) -> dict[str, str]:
        """Sources by the file of the build that each of them is copied to."""
        target = Path(self.build_lib, "unchoke", "checkout")
        found = [file for part in PARTS for file in Path().glob(part) if file.is_file() and file.suffix != ".pyc"]
        return {str(target / file): str(file) for file in found}

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for target, source in self._copies().items():
                self.mkpath(str(Path(target).parent))
                self.copy_file(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), *([] if self.editable_mode else self._copies())]

    def get_source_files(self) -> list[str]:
        """Read for an sdist too, which needs no MANIFEST.in."""
        return [*super().get_source_files(), *self._copies().values()]


setup(cmdclass={"build_py": BuildWithWorkflow})
