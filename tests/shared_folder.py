"""A folder that all workers of a run of the tests see, so that one makes what others want, too."""

import os
from pathlib import Path

VARIABLE = "FOLDER_OF_ALL_TESTS"  # which tests/conftest.py sets


def shared_folder() -> Path:
    return Path(os.environ[VARIABLE])
