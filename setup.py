"""Lists the packages that pyproject.toml's package-dir table maps; everything else is in pyproject.toml."""

from setuptools import find_packages, setup

TREES = {"qir": "qir", "qir.passes": "passes", "qir.backends": "backends"}

setup(packages=[p for name, tree in TREES.items() for p in (name, *(f"{name}.{sub}" for sub in find_packages(tree)))])
