"""A folder shared by all workers of a test run, so that costly inputs are made once.

A benchmark that draws its random students from the tests is no such run: it has a folder of its
own, which goes with its process.
"""

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

VARIABLE = "FOLDER_OF_ALL_TESTS"  # which tests/conftest.py sets


def shared_folder() -> Path:
    return Path(os.environ[VARIABLE]) if VARIABLE in os.environ else own_folder()


@cache
def own_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="students-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
