"""Digests a model's configuration, tokenizer and chat template, on which its answers depend."""

import hashlib
from pathlib import Path

from training.errors import TeacherError
from training.teacher.answers.folder import TeacherInfo, read_info
from understudy.graph.files import file_digest

FILES = (
    *("config.json", "tokenizer*.json", "special_tokens_map.json", "added_tokens.json"),
    *("chat_template*", "vocab*", "merges.txt", "*.model"),
)


def reading_digest(folder: Path) -> str:
    """SHA-256 over these files of a model's folder, with their names."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in FILES for path in folder.glob(pattern)}):
        if path.is_file():
            digest.update(f"{path.name} {file_digest(path)}\n".encode())
    return digest.hexdigest()


def model_change(info: TeacherInfo, weights: str, reading: str) -> str | None:
    """What changed in a model since it answered, as text to follow "has"; None: nothing.

    Args:
        info: of the answers; earlier releases did not record how the model read.
        weights: SHA-256 of the present untuned weights.
        reading: the present `reading_digest`.
    """
    if weights != info.model_hash:
        return f"other weights now ({weights[:12]}, and not {info.model_hash[:12]})"
    if info.settings.get("reading", reading) != reading:
        return "another tokenizer, chat template or configuration now"
    return None


def check_same_model(name: str, like: Path, digest: str, reading: str) -> None:
    """Refuses a model whose files are not those that made an earlier teacher folder.

    Args:
        name: of the model, for the message.
        like: the teacher folder.
        digest: SHA-256 of the present untuned weights.
        reading: the present `reading_digest`.

    Raises:
        TeacherError: they changed since, or the folder cannot be read.
    """
    if change := model_change(read_info(like), digest, reading):
        raise TeacherError(
            f"{name} has {change} than when {like} was made; restore the old ones, or start in "
            "another folder"
        )
