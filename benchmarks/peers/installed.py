"""Imports packages, and prints the versions of their distributions as JSON.

python -m benchmarks.peers.installed PACKAGE...
"""

import importlib
import json
import sys
from importlib.metadata import packages_distributions, version


def main() -> None:
    for package in sys.argv[1:]:
        importlib.import_module(package)
    holders = packages_distributions()
    names = {name for package in sys.argv[1:] for name in holders[package.partition(".")[0]]}
    sys.stdout.write(json.dumps({name: version(name) for name in sorted(names)}) + "\n")


if __name__ == "__main__":
    main()
