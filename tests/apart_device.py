"""A device without a GPU that, like CUDA, refuses to mix its tensors with the processor's.

Each tensor of it holds one of the processor, which computes. `install` makes it known to torch, for
good, so whoever uses it does so in a process of its own.
"""

from functools import partial
from types import ModuleType
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from training.encoders.features import csr_tensor, scipy_matrix

NAME = "apart"
INDEXED = ("index", "index_put", "_index_put_impl", "_unsafe_index")  # by the processor's, too
apply: Any = nn.Module._apply
to, csr = Tensor.to, torch.sparse_csr_tensor
storages: dict[int, Tensor] = {}  # autograd keeps copies, which share the storage alone
kept: list[torch.library.Library] = []


class Apart(Tensor):
    """A tensor of the device."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, inner: Tensor) -> "Apart":
        inner = inner if inner.layout == torch.sparse_csr else inner.contiguous()
        made: Any = torch._C._acc.create_empty_tensor(inner.size(), inner.dtype)
        made.__class__ = cls
        storages[made.untyped_storage()._cdata] = made.held = inner
        return cast("Apart", made)

    def __deepcopy__(self, memo: object) -> "Apart":
        return Apart(self.held.detach().clone())


def install() -> torch.device:
    """Makes the device known to torch."""
    module = ModuleType(NAME)
    module.__dict__.update(
        is_available=lambda: True,
        device_count=lambda: 1,
        current_device=lambda: 0,
        get_amp_supported_dtype=lambda: [torch.bfloat16],
        _is_in_bad_fork=lambda: False,
        manual_seed_all=lambda seed: None,
    )
    _setup_privateuseone_for_python_backend(NAME, module)
    Tensor.to = put  # type: ignore[method-assign,assignment]
    torch.sparse_csr_tensor = made_sparse
    nn.Module._apply = swapping  # type: ignore[method-assign]
    everything = torch.library.Library("_", "IMPL")
    everything.fallback(computed, "PrivateUse1")
    aten = torch.library.Library("aten", "IMPL")
    for name in ("values", "crow_indices", "col_indices"):
        part = getattr(Tensor, name)
        aten.impl(name, lambda tensor, part=part: Apart(part(held(tensor))), "PrivateUse1")
    for name in ("detach", "alias"):  # which torch would make of the storage, and here is none
        aten.impl(name, lambda tensor: Apart(held(tensor).detach()), "PrivateUse1")
    for name in ("arange", "arange.start"):  # which torch would make by growing an empty one
        aten.impl(name, made_here, "PrivateUse1")
    for name in ("abs", "logsumexp"):  # the same
        aten.impl(name, partial(computed, getattr(torch.ops.aten, name).default), "PrivateUse1")
    kept.extend([everything, aten])
    return torch.device(NAME, 0)


def swapping(module: nn.Module, change: Any, recurse: bool = True) -> nn.Module:
    """`nn.Module._apply`, by which weights become others of the device, and not their contents."""
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        return cast(nn.Module, apply(module, change, recurse))
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)


def put(tensor: Tensor, *values: Any, **options: Any) -> Tensor:
    """`Tensor.to`; a sparse matrix on the device is one of ours, too."""
    place = torch.device(values[0]) if values and not isinstance(values[0], torch.dtype) else None
    if tensor.layout == torch.sparse_csr and place is not None and place.type == NAME:
        return Apart(tensor)
    return to(tensor, *values, **options)


def made_sparse(*parts: Any, **options: Any) -> Tensor:
    """`torch.sparse_csr_tensor`, of the device's tensors."""
    made = csr(*map(held, parts), **options)
    return Apart(made) if is_apart(parts[0]) else made


def made_here(*values: Any, **options: Any) -> Tensor:
    return Apart(torch.arange(*values, dtype=options.get("dtype")))


def computed(operator: Any, *values: Any, **options: Any) -> Any:
    """What the processor makes of the tensors that are held."""
    given = [value for value in tree_flatten((values, options))[0] if isinstance(value, Tensor)]
    name = operator.name().removeprefix("aten::").partition(".")[0].rstrip("_")
    if name == "_copy_from":
        held(values[1]).copy_(held(values[0]))
        return values[1]
    if name not in INDEXED:
        foreign = [one for one in given if not is_apart(one) and one.dim()]
        if foreign:
            raise RuntimeError(f"{operator} of tensors on two devices: {foreign[0].shape}")
    holders = {id(held(one)): one for one in given if is_apart(one)}
    place = options.pop("device", None)
    inner_values, inner_options = tree_map(held, (values, options))
    if place is not None:
        inner_options["device"] = "cpu"
    if name == "as_strided" and inner_values[0].layout == torch.sparse_csr:
        return Apart(
            csr_tensor(scipy_matrix(inner_values[0]).T.tocsr())
        )  # the one view that is asked for of these
    if name == "as_strided":  # a view's own storage begins at its first number
        (tensor, size, strides), rest = inner_values[:3], inner_values[3:]
        own_start = (rest[0] if rest and rest[0] is not None else 0) + tensor.storage_offset()
        return Apart(tensor.as_strided(size, strides, own_start))
    found = operator(*inner_values, **inner_options)
    if place is not None and torch.device(place).type == "cpu":
        return found
    own = [one for one in given if not is_apart(one)]

    def wrapped(value: Any) -> Any:
        if not isinstance(value, Tensor) or any(value is one for one in own):
            return value
        return holders.get(id(value)) if id(value) in holders else Apart(value)

    return tree_map(wrapped, found)


def held(value: Any) -> Any:
    if not isinstance(value, Tensor) or not is_apart(value):
        return value
    return value.held if isinstance(value, Apart) else storages[value.untyped_storage()._cdata]


def is_apart(tensor: Tensor) -> bool:
    return tensor.device.type == NAME
