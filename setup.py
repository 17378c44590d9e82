"""Compiles the translations and keeps the files of the top folder; see pyproject.toml for the rest.

Not part of the service: what builds the wheel calls it.
"""

from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from setuptools import setup
from setuptools.command.build_py import build_py

# With them, what is installed is the whole source again: see shared/web/source.py.
TOP = ("LICENSE", "Makefile", "README.md", "CONTRIBUTING.md", "SECURITY.md", "pyproject.toml")


class BuildPy(build_py):
    def run(self) -> None:
        super().run()
        built = Path(self.build_lib)
        for catalogue in Path("shared/translations").glob("*/LC_MESSAGES/*.po"):
            with catalogue.open("rb") as source:
                messages = read_po(source, locale=catalogue.parts[-3])
            with (built / catalogue).with_suffix(".mo").open("wb") as compiled:
                write_mo(compiled, messages)
        top = built / "deploy" / "top"
        top.mkdir(parents=True, exist_ok=True)
        for name in (*TOP, "setup.py"):
            (top / name).write_bytes(Path(name).read_bytes())


setup(cmdclass={"build_py": BuildPy})
