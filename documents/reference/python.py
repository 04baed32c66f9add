"""The Python interface: what `import understudy` offers, from its docstrings."""

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any, get_args, get_origin

import understudy
from documents.reference.pages import Page

INTRODUCTION = (
    "What `import understudy` offers; each name is loaded when it is first used. "
    "[From Python](../guides/python.md) is a guide to them."
)
HIDDEN = {"carry_out"}  # how the others are carried out
TWINS = {"AsyncClient": "Its methods are those of [Client](#client), awaited."}
ROOMS = ("understudy", "training", "export")
MODULE = re.compile(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])")  # before a type's name
PLAN = re.compile(r"Generator\[Request\[(.*)\], \1, (.*)\]")
WIDTH = 88  # letters of a signature in one line


def python_page() -> Page:
    page = Page("Python")
    page.add(INTRODUCTION)
    for name in understudy.__all__:
        value = getattr(understudy, name)
        extra = understudy.NAMES[name][2]
        needs = f"Needs the extra `{extra}`." if extra else ""
        page.add(f"## {name}", *described(page, name, value), needs, TWINS.get(name, ""))
        if inspect.isclass(value) and name not in TWINS:
            for member, function in methods(value):
                page.add(f"### {name}.{member}", *described(page, f"{name}.{member}", function))
    return page


def described(page: Page, name: str, value: Any) -> list[str]:
    """Formats a signature and a docstring, whose layout is kept."""
    short = name.rpartition(".")[2]
    if isinstance(value, property):
        getter: Any = value.fget
        shown = f"{short}: {annotation(inspect.signature(getter).return_annotation)}"
    else:
        shown = f"{short}{signature(value)}"
    text = inspect.getdoc(value) or ""
    page.words(name, text)
    return [f"```python\n{shown}\n```", f"```text\n{text}\n```" if "\n" in text else text]


def signature(value: Callable[..., Any]) -> str:
    """Formats a signature without `self`; a long one has an argument per line."""
    declared = inspect.signature(value)
    parameters = [
        parameter(p) for p in declared.parameters.values() if p.name not in ("self", "cls")
    ]
    end = ")"
    if declared.return_annotation not in (inspect.Signature.empty, None, "None"):
        end += f" -> {annotation(declared.return_annotation)}"
    line = f"({', '.join(parameters)}{end}"
    if len(line) <= WIDTH:
        return line
    return "(\n" + "".join(f"    {p},\n" for p in parameters) + end


def parameter(declared: inspect.Parameter) -> str:
    several: dict[object, str] = {
        inspect.Parameter.VAR_POSITIONAL: "*",
        inspect.Parameter.VAR_KEYWORD: "**",
    }
    stars = several.get(declared.kind, "")
    kind = "" if declared.annotation is declared.empty else f": {annotation(declared.annotation)}"
    if declared.default is declared.empty:
        return f"{stars}{declared.name}{kind}"
    value = repr(declared.default)
    default = "…" if value.startswith("<") or len(value) > WIDTH // 2 else value
    return f"{declared.name}{kind} = {default}"


def annotation(kind: Any) -> str:
    """Formats a type without module names."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    text = kind if isinstance(kind, str) else inspect.formatannotation(kind)
    text = MODULE.sub("", text).replace("~", "")
    if plan := PLAN.fullmatch(text):  # what both clients make of what they are to ask
        return plan[2]
    return text


def methods(kind: type) -> Iterator[tuple[str, Any]]:
    """The public methods of a class and of its base classes in this project."""
    seen: set[str] = set()
    for owner in kind.__mro__:
        if not owner.__module__.startswith(ROOMS):
            continue
        for name, raw in vars(owner).items():
            value = getattr(raw, "__wrapped__", getattr(raw, "__func__", raw))
            public = not name.startswith("_") and name not in seen | HIDDEN
            if public and (inspect.isfunction(value) or isinstance(value, property)):
                seen.add(name)
                yield name, value
