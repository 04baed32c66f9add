"""Tiny language models with random weights, built where a test needs them: no downloads."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BertConfig,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
)

SENTENCES = [
    "Kites climb when the wind is steady and the string is long.",
    "A pot of lentils simmers on the stove beside the bread.",
    "The orchestra tunes its strings before the doors are opened.",
    "### Instruction: ### Input: ### Response: Categories linked items node category",
    "Which category should this node be classified as?",
]


def write_tiny_llama(folder: Path, words: list[str]) -> Path:
    """A two-layer Llama with a byte-pair tokenizer trained on our own sentences and `words`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*SENTENCES, *words], trainer)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    wrapped.save_pretrained(folder)
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=len(wrapped),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2_048,
        bos_token_id=0,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def write_tiny_causal(folder: Path, tokenizer: Path, config: PreTrainedConfig) -> Path:
    """A model of any kind with the tokenizer of another; weights large enough to tell it apart."""
    AutoTokenizer.from_pretrained(tokenizer).save_pretrained(folder)
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.normal_(0, 0.25)
    model.save_pretrained(folder)
    return folder


def metaspace_tokenizer(words: list[str]) -> PreTrainedTokenizerFast:
    """Puts a space before every text that it is given, as those of Llama 2 do."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always", split=False)
    special = ["<unk>", "<s>", "</s>", "<turn>", "</turn>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=["\n"], show_progress=False
    )
    lines = [line + "\n" for line in [*SENTENCES, *words]]
    tokenizer.train_from_iterator([*lines, *words], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=["<turn>", "</turn>"],
    )


def write_tiny_encoder(folder: Path, words: list[str]) -> Path:
    """A two-layer BERT with a word-piece tokenizer trained on our own sentences and `words`."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=600, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator([*SENTENCES, *words], trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]"
    )
    wrapped.save_pretrained(folder)
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(wrapped),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
    )
    BertModel(config).save_pretrained(folder)
    return folder
