"""Bodies → the structs that operations take; large ones item by item."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import FieldInfo

from service.errors import InvalidFieldError
from service.http.io import decode

Headers = Mapping[bytes, bytes]
# The body and the request's headers → a struct.
Read = Callable[[bytes, Headers], Any]


def whole_reader(kind: type[Struct]) -> Read:
    """Reads a body at once."""
    decoder = msgspec.json.Decoder(kind)

    def read(content: bytes, _: Headers) -> Struct:
        return decode(decoder, content)

    return read


def item_reader(kind: type[Struct]) -> Read:
    """Reads the one list of structs in a body item by item, and any other body at once.

    msgspec does not let go of the interpreter while it decodes, not even on a thread: several
    megabytes at once would hold everybody up.
    """
    field = next((f for f in msgspec.structs.fields(kind) if struct_items(f.type)), None)
    if field is None:
        return whole_reader(kind)
    name = field.name
    outline = msgspec.json.Decoder(outline_of(kind, field))
    items = msgspec.json.Decoder(struct_items(field.type))

    def read(content: bytes, _: Headers) -> Struct:
        rough = decode(outline, content)
        whole = []
        for position, item in enumerate(getattr(rough, name)):
            try:
                whole.append(decode(items, item))
            except InvalidFieldError as error:
                raise error.below(f"{name}.{position}") from error
        return kind(**msgspec.structs.asdict(rough) | {name: tuple(whole)})

    return read


def struct_items(hint: Any) -> Any:
    """What a list of structs holds, be it one kind or several; None for any other type."""
    hint = getattr(hint, "__origin__", hint) if hasattr(hint, "__metadata__") else hint
    if get_origin(hint) is not tuple:
        return None
    item = get_args(hint)[0]
    kinds = get_args(item) or (item,)
    return item if all(isinstance(k, type) and issubclass(k, Struct) for k in kinds) else None


def outline_of(kind: type[Struct], field: FieldInfo) -> type[Struct]:
    """The same struct with undecoded items in the place of the list's own."""
    fields: list[Any] = []
    for own in msgspec.structs.fields(kind):
        wanted = own.type
        if own.name == field.name:
            wanted = Annotated[(tuple[Raw, ...], *getattr(own.type, "__metadata__", ()))]
        fields.append((own.name, wanted) if own.required else (own.name, wanted, own.default))
    strict = kind.__struct_config__.forbid_unknown_fields
    return msgspec.defstruct(f"{kind.__name__}Outline", fields, forbid_unknown_fields=strict)
