"""YAML text with the place of every value, by the rules of YAML 1.2: `1e-4` is a number, `no` and `on` are text."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from textlatent.recipe.fault import Fault, Keys, RecipeError


@dataclass
class Document:
    """The values of a recipe, where each of them stands and how it was written, and what was wrong so far."""

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[Keys, str] = field(default_factory=dict)
    written: dict[Keys, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def place(self, keys: Keys) -> str:
        """Where `keys` stands in the text, or the nearest thing above it."""
        return next((self.places[keys[:n]] for n in range(len(keys), -1, -1) if keys[:n] in self.places), "")


class _Rules(yaml.SafeLoader):
    """PyYAML's reader with the scalars of YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


class _Writer(yaml.SafeDumper):
    """PyYAML's writer; it quotes what a reader of YAML 1.1 or 1.2 would not take for text."""


def _text(writer: _Writer, text: str) -> yaml.ScalarNode:
    """Text as a node; line ends that PyYAML would fold into spaces are escaped."""
    return writer.represent_scalar(_TEXT, text, style='"' if set(text) & set("\x85\u2028\u2029") else None)


_Writer.add_representer(str, _text)

_NULL, _BOOL, _INT, _FLOAT = (f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float"))
_TEXT = "tag:yaml.org,2002:str"
for _tag, _pattern, _first in (
    (_NULL, r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    (_BOOL, r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    (_INT, r"^[-+]?[0-9][0-9_]*$", list("-+0123456789")),
    (_FLOAT, r"^[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?$", list("-+0123456789.")),
    (_FLOAT, r"^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$", list("-+.")),
):
    for _letter in _first:
        _Rules.yaml_implicit_resolvers.setdefault(_letter, []).append((_tag, re.compile(_pattern)))
        _Writer.add_implicit_resolver(_tag, re.compile(_pattern), [_letter])


def _scalar(node: yaml.ScalarNode) -> Any:
    """The value of one YAML scalar."""
    if node.tag == _NULL:
        return None
    if node.tag == _BOOL:
        return node.value.lower() == "true"
    if node.tag == _INT:
        return int(node.value)
    if node.tag == _FLOAT:
        return float(re.sub(r"\.(?=inf|nan)", "", node.value.lower()))
    return node.value


def _fill(document: Document, node: yaml.Node, keys: Keys, name: str, above: tuple[int, ...] = ()) -> Any:
    """The value of `node`; its place and those below it, and what is wrong with them, go into `document`."""
    place = document.places[keys] = f"{name}:{node.start_mark.line + 1}" if name else ""
    if id(node) in above:
        document.faults.append(Fault(keys, place, "refers to itself; write the values out."))
        return None
    if isinstance(node, yaml.ScalarNode):
        if node.tag not in (_NULL, _BOOL, _INT, _FLOAT, _TEXT):
            document.faults.append(
                Fault(keys, place, f"a recipe holds plain values, not {node.tag}; take the tag out.")
            )
        document.written[keys] = node.value
        return _scalar(node)
    above = (*above, id(node))
    if isinstance(node, yaml.SequenceNode):
        return [_fill(document, item, (*keys, i), name, above) for i, item in enumerate(node.value)]
    assert isinstance(node, yaml.MappingNode)
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key in values:
            first = document.places[(*keys, key)]
            document.faults.append(
                Fault((*keys, key), f"{name}:{line}", f"is given twice, first at {first}; take one of the two out.")
            )
            continue
        values[key] = _fill(document, value_node, (*keys, key), name, above)
        document.places[(*keys, key)] = f"{name}:{line}" if name else ""
    return values


def _syntax(error: yaml.YAMLError, name: str) -> Fault:
    """What the YAML reader stumbled over, as a fault with its line."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    if "'\\t'" in problem:
        problem = "a tab stands where spaces must; indent with spaces."
    else:
        problem = f"is not YAML: {problem}; look for a missing colon, quote or bracket."
    return Fault((), f"{name}:{mark.line + 1}" if mark else name, problem)


def compose(text: str, name: str) -> yaml.Node | None:
    """The YAML tree of `text`, None where it holds nothing.

    Raises:
        RecipeError: the text is not YAML; the fault names the line.
    """
    try:
        return yaml.compose(text, Loader=_Rules)
    except yaml.YAMLError as error:
        raise RecipeError([_syntax(error, name)]) from None


def read_document(path: Path) -> Document:
    """The values of one YAML file with their lines.

    Raises:
        RecipeError: the file is not there, not UTF-8, empty, not YAML, or no mapping of sections.
    """
    if not path.is_file():
        kind = "is a folder; name a file in it" if path.is_dir() else "does not exist"
        raise RecipeError([Fault((), str(path), f"{kind}. `textlatent ls recipes` lists the ones that come along.")])
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = f"{path.name}:{_line(raw, error.start)}"
        raise RecipeError([Fault((), place, "is not UTF-8 text; save the file as UTF-8.")]) from None
    node = compose(text, path.name)
    if not isinstance(node, yaml.MappingNode):
        what = "is empty" if node is None else "must be sections such as `data:` and `training:`"
        raise RecipeError([Fault((), path.name, f"{what}; start from one of `textlatent ls recipes`.")])
    document = Document()
    document.values = _fill(document, node, (), path.name)
    document.places[()] = path.name  # what stands nowhere has no line
    return document


def _line(raw: bytes, position: int) -> int:
    """The line, from 1, of the byte at `position`."""
    return raw.count(b"\n", 0, position) + 1


def override(document: Document, setting: str) -> None:
    """Put one `a.b=c` into the document; the value is read as YAML, and a list's entry is named by its position.

    What cannot be done is added to the document's faults.
    """
    place = f"--set {setting}"
    path, equals, text = setting.partition("=")
    names = [part.strip() for part in path.split(".")]
    if not equals or not all(names):
        document.faults.append(Fault((), place, "must look like section.key=value, as in training.steps=500."))
        return
    keys: Keys = ()
    inside: Any = document.values
    for part, following in zip(names, [*names[1:], None], strict=True):
        key: Any = int(part) if isinstance(inside, list) and part.isdecimal() else part
        keys = (*keys, key)
        if isinstance(inside, list) and not (isinstance(key, int) and key < len(inside)):
            document.faults.append(Fault(keys, place, f"must name one of the {len(inside)} entries, 0 is the first."))
            return
        if following is None:
            inside[key] = _set(document, keys, text, place)
            return
        below = inside[key] if isinstance(inside, list) else inside.get(key)
        if not isinstance(below, dict | list):
            below = inside[key] = [{}] if following == "0" else {}
            document.places[keys] = place
        inside = below


def _set(document: Document, keys: Keys, text: str, place: str) -> Any:
    """The value that `text` says, its places noted, what stood there before forgotten."""
    for old in [k for k in document.places if k[: len(keys)] == keys]:
        del document.places[old]
    document.faults[:] = [fault for fault in document.faults if fault.keys[: len(keys)] != keys or not fault.keys]
    try:
        node = compose(text, place)
    except RecipeError as error:
        document.faults.append(Fault(keys, place, error.faults[0].sentence))
        return None
    value = None if node is None else _fill(document, node, keys, "")
    document.places.update({k: place for k in document.places if k[: len(keys)] == keys} | {keys: place})
    return value


def write_document(values: dict[str, Any]) -> str:
    """YAML text that `read_document` reads back as the same values."""
    return yaml.dump(values, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=100)
