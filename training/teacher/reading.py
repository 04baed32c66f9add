"""What a model's answers depend on beside its weights: its shape, its tokens, its chat template."""

import hashlib
from pathlib import Path

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
