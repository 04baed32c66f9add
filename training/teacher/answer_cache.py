"""A cache of paid answers by question, so that no run asks the same question again.

The key is the SHA-256 of prompt, labels, model and form of the question, but not the address, which
is stored with the answer: another address may serve another model of the same name. Neither texts
nor keys are in the file. Every answer is on disk before the next is counted.
"""

import hashlib
import json
import logging
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from training.errors import EndpointError
from understudy.endpoint.asker import Reply, Usage
from understudy.graph.files import cache_folder
from understudy.graph.prompts import Prompt

WAIT_SECONDS = 60.0  # for another writing run
TABLE = "CREATE TABLE IF NOT EXISTS answers (question BLOB PRIMARY KEY, answer TEXT) WITHOUT ROWID"
log = logging.getLogger(__name__)


class KeptAnswers:
    """One model's answers, as a context manager; only for the thread that opened it.

    Attributes:
        elsewhere: addresses other than this run's → number of answers used from there.
    """

    def __init__(
        self, path: Path, model: str, form: str, label_names: Sequence[str], url: str = ""
    ) -> None:
        """Opens or creates the file.

        Args:
            url: address that is asked for missing answers.

        Raises:
            EndpointError: it cannot be written, or is not ours.
        """
        self.path = path
        self.about = json.dumps([model, form, list(label_names)])
        self.address = address_of(url)
        self.elsewhere: Counter[str] = Counter()
        with self.failures_named():
            path.parent.mkdir(parents=True, exist_ok=True)
            self.connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)
            self.connection.execute(TABLE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def get(self, prompt: Prompt) -> Reply | None:
        """The stored answer, if there is one; it costs nothing."""
        with self.failures_named():
            query = "SELECT answer FROM answers WHERE question = ?"
            found = self.connection.execute(query, (self.key(prompt),)).fetchone()
        if found is None:
            return None
        try:
            value = json.loads(found[0])
            stored = value["log_probabilities"]
            stored = None if stored is None else tuple(stored)
            reply = Reply(value["text"], value["label"], stored, Usage(0))
        except (ValueError, KeyError, TypeError) as error:
            log.warning("an answer in %s is damaged (%r); asking again", self.path, error)
            return None
        if (address := value.get("address", self.address)) != self.address:
            self.elsewhere[address] += 1
        return reply

    def put(self, prompt: Prompt, reply: Reply) -> None:
        """Stores an answer, even one that names no label."""
        value = {
            "text": reply.text,
            "label": reply.label,
            "log_probabilities": reply.log_probabilities,
            "address": self.address,
        }
        with self.failures_named():
            self.connection.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?)",
                (self.key(prompt), json.dumps(value)),
            )

    def forget(self, prompts: Iterable[Prompt]) -> None:
        """Removes answers, so that the next run asks again."""
        with self.failures_named():
            self.connection.executemany(
                "DELETE FROM answers WHERE question = ?",
                ((self.key(prompt),) for prompt in prompts),
            )

    def tell_elsewhere(self) -> None:
        """Warns how many of the used answers came from other addresses."""
        for address, count in self.elsewhere.items():
            log.warning(
                "%d answers in %s are reused instead of asking %s; if it now serves another model "
                "under that name, remove %s to ask again",
                count,
                address,
                self.address,
                self.path,
            )

    def key(self, prompt: Prompt) -> bytes:
        return hashlib.sha256(f"{self.about}\0{prompt.text}".encode()).digest()

    @contextmanager
    def failures_named(self) -> Iterator[None]:
        """Converts failures of the file to EndpointError."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise EndpointError(
                f"answers cannot be stored in {self.path}: {error}; set UNDERSTUDY_CACHE to a "
                "writable folder, or remove the file if it is damaged"
            ) from error


def address_of(url: str) -> str:
    """The address of a URL, without user name and password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def answers_path(model: str) -> Path:
    """The cache file for a model's answers."""
    return cache_folder() / "answers" / f"{hashlib.sha256(model.encode()).hexdigest()[:16]}.sqlite"
