"""What a model's answers depend on beside its weights: its shape, its tokens, its chat template."""

import hashlib
from pathlib import Path

from training.teacher.answers.folder import TeacherInfo
from understudy.graph.files import file_digest

FILES = (
    *("config.json", "tokenizer*.json", "special_tokens_map.json", "added_tokens.json"),
    *("chat_template*", "vocab*", "merges.txt", "*.model"),
)


def reading_digest(folder: Path) -> str:
    """SHA-256 over those files of a model's folder, with their names."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in FILES for path in folder.glob(pattern)}):
        if path.is_file():
            digest.update(f"{path.name} {file_digest(path)}\n".encode())
    return digest.hexdigest()


def model_change(info: TeacherInfo, weights: str, reading: str) -> str | None:
    """What a model has now and had not when it answered, to be read after "has"; None: nothing.

    Args:
        info: of the answers; those of earlier releases do not tell how it read.
        weights: SHA-256 of the untuned ones, now.
        reading: see `reading_digest`, now.
    """
    if weights != info.model_hash:
        return f"other weights now ({weights[:12]}, and not {info.model_hash[:12]})"
    if info.settings.get("reading", reading) != reading:
        return "another tokenizer, chat template or configuration now"
    return None
