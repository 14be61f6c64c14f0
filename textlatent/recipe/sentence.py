"""One wrong value as a sentence: what must hold, what came, what to do, and the nearest valid name."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import ValidationError

from textlatent.recipe.fault import Keys
from textlatent.recipe.kinds import KINDS
from textlatent.recipe.section import AnyRecipe, Section


def _section(keys: Keys, kind: type[AnyRecipe]) -> type[Section] | None:
    """The section that stands at `keys` of a kind of recipe, None where a plain value does."""
    section: type[Section] | None = kind
    for key in keys:
        if isinstance(key, int):
            continue
        if section is None or key not in section.model_fields:
            return None
        annotation = section.model_fields[key].annotation
        inner = [a for a in (annotation, *get_args(annotation)) if isinstance(a, type) and issubclass(a, Section)]
        section = inner[0] if inner else None
    return section


def _paths(section: type[Section], prefix: str = "") -> Iterator[str]:
    """Every dotted path below a section, lists left out."""
    for name, field in section.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _paths(field.annotation, f"{prefix}{name}.")


def _nearest(keys: Keys, kind: type[AnyRecipe]) -> str:
    """Which valid key was perhaps meant, as the end of a sentence."""
    section, key = _section(keys[:-1], kind), str(keys[-1])
    above = "".join(f"{part}." for part in keys[:-1])
    names = list(section.model_fields) if section else []
    if near := get_close_matches(key, names, n=1):
        return f"did you mean {above}{near[0]}?"
    elsewhere = {path.split(".")[-1]: path for path in _paths(kind)}
    if near := get_close_matches(key, list(elsewhere), n=1, cutoff=0.8):
        return f"did you mean {elsewhere[near[0]]}?"
    return f"it may hold {', '.join(names)}."


def _came(value: Any) -> str:
    """What came, in words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text {value!r}"
    if isinstance(value, int | float):
        return f"the number {value}"
    return f"a list of {len(value)}" if isinstance(value, list) else "a section"


_MUST = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list such as [a, b]",
    "dict_type": "a section of its own keys",
    "model_type": "a section of its own keys",
    "finite_number": "a finite number",
}
_EITHER = {"str", "int"}
_BOUNDS = {
    "less_than_equal": ("le", "<="),
    "greater_than_equal": ("ge", ">="),
    "greater_than": ("gt", ">"),
    "less_than": ("lt", "<"),
}


def unknown_kind(named: object) -> str:
    """What to say of a `kind` that there is not."""
    near = get_close_matches(str(named), list(KINDS), n=1)
    return f"must be one of {', '.join(KINDS)}, got {_came(named)}{f'; did you mean {near[0]}?' if near else '.'}"


def sentences_of(error: ValidationError, recipe: type[AnyRecipe], written: Mapping[Keys, str]) -> dict[Keys, str]:
    """Each of pydantic's errors as a sentence: what must hold, what came, what to do.

    Args:
        error: what `model_validate` raised.
        recipe: whose it was.
        written: how values stand in the file, where they come from one.
    """
    sentences: dict[Keys, str] = {}
    for each in error.errors(include_url=False):
        if each["loc"][-1] in _EITHER:  # one error for each type that would do
            keys = each["loc"][:-1]
            sentences[keys] = f"must be text or a whole number, got {_came(each['input'])}."
        else:
            sentences[each["loc"]] = _sentence(each, recipe, written.get(each["loc"]))
    return sentences


def _sentence(error: Any, recipe: type[AnyRecipe], written: str | None) -> str:
    """One of pydantic's errors as a sentence; `written` is how the value stands in the file, if it does."""
    kind, keys, value, context = error["type"], error["loc"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        home = ".".join(map(str, keys[:-1])) or "a recipe"
        return f"is no key of {home}; {_nearest(keys, recipe)}"
    if kind == "missing":
        section = _section(keys[:-1], recipe)
        described = section.model_fields[keys[-1]].description if section else ""
        return f"must be given. {described}"
    if kind == "literal_error":
        choices = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        near = get_close_matches(str(value), choices, n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        return f"must be one of {', '.join(choices)}, got {_came(value)}{hint}"
    if kind in _BOUNDS:
        name, sign = _BOUNDS[kind]
        return f"must be {sign} {context[name]:g}, got {value}."
    if kind == "string_too_short":
        return "must not be empty."
    if kind in ("too_short", "too_long"):
        bound = f"at least {context['min_length']}" if "min_length" in context else f"at most {context['max_length']}"
        return f"must have {bound} entries, got {_came(value)}."
    if kind == "string_pattern_mismatch":
        return f"must be a folder's name of letters, digits, '_', '.' and '-', got {value!r}."
    if kind in _MUST:
        return f"must be {_MUST[kind]}, got {_came(value)}{_hint(kind, value, written)}"
    return f"{error['msg']}, got {_came(value)}."


def _hint(kind: str, value: Any, written: str | None) -> str:
    """What to write instead, where it can be told; the end of a sentence."""
    if kind == "string_type" and isinstance(value, bool | int | float) and written is not None:
        return f'; if the text is meant, put it in quotes: "{written}".'
    if kind == "int_type" and isinstance(value, float) and value.is_integer():
        return f"; write {int(value)}."
    if kind == "bool_type" and str(value).lower() in ("yes", "on", "no", "off"):
        return f"; write {str(str(value).lower() in ('yes', 'on')).lower()}."
    if kind == "model_type" and value is None:
        return "; give it keys or take its line out."
    return "."
