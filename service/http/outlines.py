"""Outlines of structs: a body's list stays undecoded, so that its items are decoded one by one."""

from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import FieldInfo


def struct_items(hint: Any) -> Any:
    """Returns the struct, or structs, that a list type holds; None for any other type."""
    hint = getattr(hint, "__origin__", hint) if hasattr(hint, "__metadata__") else hint
    if get_origin(hint) is not tuple:
        return None
    item = get_args(hint)[0]
    kinds = get_args(item) or (item,)
    return item if all(isinstance(k, type) and issubclass(k, Struct) for k in kinds) else None


def outline_of(kind: type[Struct], field: FieldInfo) -> type[Struct]:
    """Makes the same struct with undecoded items in the list."""
    fields: list[Any] = []
    for own in msgspec.structs.fields(kind):
        wanted = own.type
        if own.name == field.name:
            wanted = Annotated[(tuple[Raw, ...], *getattr(own.type, "__metadata__", ()))]
        fields.append((own.name, wanted) if own.required else (own.name, wanted, own.default))
    strict = kind.__struct_config__.forbid_unknown_fields
    return msgspec.defstruct(f"{kind.__name__}Outline", fields, forbid_unknown_fields=strict)
