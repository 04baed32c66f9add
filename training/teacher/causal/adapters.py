"""Low-rank adapters: the only weights of a causal model that are tuned (LoRA, arXiv 2106.09685)."""

import math
import warnings
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from training.errors import TeacherError
from training.teacher.causal.options import CausalOptions
from understudy.graph.errors import first_line


def with_adapters(model: Any, options: CausalOptions, seed: int) -> Any:
    """The model with fresh adapters on every linear layer, in the precision of its weights.

    Raises:
        TeacherError: peft does not support some of its layers.
    """
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    if options.four_bit:
        model = prepare_model_for_kbit_training(
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
        try:
            return get_peft_model(model, config, autocast_adapter_dtype=options.four_bit)
        except ValueError as error:
            raise TeacherError(
                f"peft cannot tune this model: {first_line(error)}; use it untuned with --epochs 0"
            ) from error


def add_noise(alpha: float) -> Any:
    """A hook for the embeddings: uniform noise of scale alpha / sqrt(T d) (NEFTune, section 3)."""

    def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        if not module.training:
            return output
        scale = alpha / math.sqrt(output.shape[1] * output.shape[2])
        return output + torch.empty_like(output).uniform_(-scale, scale)

    return hook


def quantization(options: CausalOptions, device: str) -> dict[str, Any]:
    """The arguments that load 4-bit NormalFloat weights (QLoRA, arXiv 2305.14314)."""
    if not options.four_bit:
        return {}
    if device != "cuda" or find_spec("bitsandbytes") is None:
        raise TeacherError("--four-bit needs a CUDA device and the package bitsandbytes")
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return {"quantization_config": config, "device_map": {"": 0}}
