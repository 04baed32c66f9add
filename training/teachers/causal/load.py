"""Loading a causal language model from a folder or the Hugging Face hub, with adapters."""

import hashlib
import os
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from graph.files import file_digest
from training.errors import TeacherError
from training.teachers.causal.teacher import CausalOptions, CausalTeacher, add_noise, causal_teacher
from training.teachers.encoder import first_line


def load_causal_teacher(
    name: str, label_names: Sequence[str], options: CausalOptions, tuned: bool, seed: int = 0
) -> CausalTeacher:
    """Loads a model; code from its repository is never run.

    Args:
        name: a folder, or an id on the hub.
        tuned: adds adapters for tuning; else the model answers as it is.

    Raises:
        TeacherError: there is no such model, its tokenizer has no end token, or 4-bit weights
            are asked for where they cannot be had.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    check_name(name)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        model: Any = AutoModelForCausalLM.from_pretrained(
            name,
            trust_remote_code=False,
            attn_implementation="sdpa",  # takes the label tree's own mask
            dtype=torch.bfloat16 if device == "cuda" else torch.float32,
            **quantization(options, device),
        )
        digest = weights_digest(name)
    except (OSError, ValueError) as error:
        raise TeacherError(f"cannot load the teacher {name!r}: {first_line(error)}") from error
    if tokenizer.eos_token_id is None:
        raise TeacherError(f"the tokenizer of {name!r} has no end token")
    if not options.four_bit:  # quantised weights are on the device already
        model = model.to(device)
    if tuned:
        model = with_adapters(model, options, seed)
    return causal_teacher(model.eval(), tokenizer, label_names, options, digest)


def check_name(name: str) -> None:
    """Refuses what can be neither a folder nor a hub id, before anything asks the network."""
    if Path(name).is_dir():
        if not (Path(name) / "config.json").is_file():
            raise TeacherError(f"{name} holds no model (no config.json)")
        return
    if name.count("/") > 1 or name.startswith((".", "/", "~")) or os.sep not in name:
        raise TeacherError(
            f"there is no folder {name!r}; give a model's folder, a hub id such as "
            "owner/model, encoder, or openai:URL#model"
        )


def quantization(options: CausalOptions, device: str) -> dict[str, Any]:
    """The arguments that load 4-bit NormalFloat weights (QLoRA, arXiv 2305.14314)."""
    if not options.four_bit:
        return {}
    if device != "cuda" or find_spec("bitsandbytes") is None:
        raise TeacherError("--four-bit needs a CUDA device and the package bitsandbytes")
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return {"quantization_config": config, "device_map": {"": 0}}


def with_adapters(model: Any, options: CausalOptions, seed: int) -> Any:
    """The model with fresh low-rank adapters, the only weights that are tuned."""
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    if options.four_bit:
        model = prepare_model_for_kbit_training(  # type: ignore[no-untyped-call]
            model, use_gradient_checkpointing=options.gradient_checkpointing
        )
    elif options.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.enable_input_require_grads()
    if options.noise:
        model.get_input_embeddings().register_forward_hook(add_noise(options.noise))
    torch.manual_seed(seed)
    config = LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,
        lora_dropout=options.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings():
        # peft asks the model by a name that transformers is about to drop.
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)
        return get_peft_model(model, config)


def weights_digest(name: str) -> str:
    """SHA-256 over the digests of the model's weight files."""
    folder = Path(name)
    if not folder.is_dir():
        from transformers.utils.hub import cached_file

        folder = Path(str(cached_file(name, "config.json"))).parent
    digests = [file_digest(path) for path in sorted(folder.glob("*.safetensors"))]
    return hashlib.sha256("".join(digests).encode()).hexdigest()
