"""Rewrites torch files with pickles of protocol 3 to 5 in protocol 2.

Torch's restricted unpickler, which runs no code, supports only protocol 2. Nothing is unpickled
here: the instructions are copied, and newer ones are translated.
"""

import io
import pickletools
import struct
import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

STRINGS = ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8")
BYTES = ("SHORT_BINBYTES", "BINBYTES", "BINBYTES8")
PUTS = ("MEMOIZE", "BINPUT", "LONG_BINPUT")
GETS = ("BINGET", "LONG_BINGET")


def rewritten(path: Path) -> io.BytesIO:
    """A copy of a file of `torch.save` with its pickle in protocol 2.

    Raises:
        UnpicklingError: the pickle holds an instruction without an equivalent in protocol 2.
    """
    copy = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copy, "w") as target:
        for entry in archive.infolist():
            content = archive.read(entry)
            pickled = entry.filename.endswith("/data.pkl")
            target.writestr(entry.filename, Rewriter().run(content) if pickled else content)
    copy.seek(0)
    return copy


class Rewriter:
    """Rewrites a pickle in protocol 2.

    Since protocol 4, a class is named by two strings on the stack, before by one instruction, so
    the strings are removed from the output. To have them available, a string is always written out
    instead of being fetched from the memo.
    """

    def __init__(self) -> None:
        self.out: list[bytes] = []
        self.strings: list[tuple[int, str]] = []  # place in `out`, and the string
        self.memory: dict[int, str] = {}
        self.saved = 0

    def run(self, content: bytes) -> bytes:
        """The same pickle in protocol 2."""
        operations = list(pickletools.genops(content))
        places = [int(place or 0) for _, _, place in operations] + [len(content)]
        for index, (opcode, argument, _) in enumerate(operations):
            self.write(opcode, argument, content[places[index] : places[index + 1]])
        return b"".join(self.out)

    def write(self, opcode: pickletools.OpcodeInfo, argument: Any, instruction: bytes) -> None:
        name = opcode.name
        if name == "PROTO":
            self.out.append(b"\x80\x02")
        elif name in STRINGS or (name in GETS and argument in self.memory):
            self.write_string(str(self.memory[argument] if name in GETS else argument))
        elif name in PUTS:
            self.put(self.saved if name == "MEMOIZE" else int(argument))
        elif name in BYTES:
            encoded = string(argument.decode("latin-1")) + string("latin1")
            self.out.append(b"c_codecs\nencode\n" + encoded + b"\x86R")
        elif name == "STACK_GLOBAL":
            self.write_global()
        elif opcode.proto <= 2:
            self.out.append(instruction)
        elif name != "FRAME":
            raise UnpicklingError(f"Unsupported operand {ord(opcode.code)}")

    def write_string(self, text: str) -> None:
        self.strings.append((len(self.out), text))
        self.out.append(string(text))

    def put(self, index: int) -> None:
        """Memorises the last value; strings are kept in our own memo."""
        self.saved += 1
        if self.strings and self.strings[-1][0] == len(self.out) - 1:
            self.memory[index] = self.strings[-1][1]
        else:
            self.out.append(b"r" + struct.pack("<I", index))

    def write_global(self) -> None:
        """Writes the class that the last two strings name."""
        (first, module), (second, attribute) = self.strings[-2:]
        if (first, second) != (len(self.out) - 2, len(self.out) - 1):
            raise UnpicklingError("Unsupported operand 147")
        del self.out[first:], self.strings[-2:]
        self.out.append(f"c{module}\n{attribute}\n".encode())


def string(text: str) -> bytes:
    encoded = text.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(encoded)) + encoded
