"""The rooms and the edges between them, read with ast from every import of the package, lazy and TYPE_CHECKING too.

ROOMS is the design's table. Adding an edge, a room or a foreign library is a design decision, argued in its commit.
"""

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "textlatent"

# room -> rooms it may import; "corpus.tokenizer" is that one file alone.
ROOMS: dict[str, set[str]] = {
    "__init__": set(),
    "__main__": {"cli"},
    "nats": set(),
    "recipe": set(),
    "scores": {"nats"},
    "gradient": {"nats"},
    "corpus": {"nats"},
    "encoder": {"nats"},
    "prior": {"nats"},
    "decoder": {"nats"},
    "objective": {"nats", "scores"},
    "diagnostics": {"nats", "scores"},
    "metrics": {"nats", "scores", "diagnostics"},
    "report": {"diagnostics", "scores"},
    "models": {"encoder", "prior", "decoder", "gradient", "scores", "nats", "corpus.tokenizer"},
    "contrasts": {"nats", "gradient", "decoder", "scores"},
    "training": {"nats", "objective", "scores", "corpus", "diagnostics"},
    "cli": {"run", "recipe", "__version__"},
}
_ABOVE = {"nats", "recipe", "scores", "gradient", "corpus", "encoder", "prior", "decoder", "objective", "diagnostics"}
ROOMS["theory"] = _ABOVE | {"models", "contrasts", "training"}
ROOMS["run"] = ROOMS["theory"] | {"metrics", "report", "theory", "__version__"}

ANYWHERE_BUT = {"recipe", "cli", "__init__", "__main__"}
# foreign library -> rooms (or single files) that may import it
FOREIGN: dict[str, set[str]] = {
    "transformers": {"encoder", "prior", "decoder", "models", "contrasts", "corpus.tokenizer"},
    "huggingface_hub": {"decoder", "models", "contrasts"},  # the check of transformers' configurations, `strict`
    "datasets": {"corpus", "metrics.columns"},  # in the latter, the types of `evaluate`'s columns
    "sentencepiece": {"corpus"},
    "accelerate": {"training"},
    "evaluate": {"metrics"},
    "sklearn": {"diagnostics"},
    "sacrebleu": {"diagnostics"},
    "matplotlib": {"report"},
    "jinja2": {"report"},
    "pydantic": {"recipe"},
    "yaml": {"recipe"},
    "typer": {"cli"},
    "rich": {"cli"},
    "torch": set(ROOMS) - ANYWHERE_BUT,
    "jaxtyping": set(ROOMS) - ANYWHERE_BUT,
    "numpy": set(ROOMS) - ANYWHERE_BUT - {"nats"},
    "safetensors": set(ROOMS) - ANYWHERE_BUT - {"nats"},
}
LATE = {"sklearn", "sacrebleu"}  # never at the top of a module


@dataclass(frozen=True)
class Import:
    """One import: the file that holds it, the dotted name it asks for, its line, whether it runs with the module."""

    module: str
    target: str
    line: int
    top: bool


def _module_name(path: Path, package: Path) -> str:
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__" or len(parts) == 1)


def _targets(node: ast.AST, modules: set[str]) -> list[str]:
    """The dotted names one statement imports; `from textlatent.run import train` is the file run/train.py if there."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = "." * node.level + (node.module or "")
        names = [f"{base}.{alias.name}" for alias in node.names]
        return [n if base == "textlatent" or n.removeprefix("textlatent.") in modules else base for n in names]
    if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {"import_module", "__import__"}:
        first = node.args[0] if node.args else None
        return [first.value] if isinstance(first, ast.Constant) and isinstance(first.value, str) else []
    return []


def read_imports(package: Path) -> list[Import]:
    """Every import of every file below `package`."""
    files = sorted(package.rglob("*.py"))
    modules = {_module_name(path, package) for path in files}
    imports = []
    for path in files:
        tree = ast.parse(path.read_text(encoding="utf8"))
        top = {id(node) for node in tree.body}
        for node in ast.walk(tree):
            for target in dict.fromkeys(_targets(node, modules)):
                imports.append(Import(_module_name(path, package), target, getattr(node, "lineno", 0), id(node) in top))
    return imports


def _allowed(name: str, allowed: set[str]) -> bool:
    """Whether the room or file `name` (dotted) is covered by `allowed`."""
    return any(name == entry or name.startswith(entry + ".") for entry in allowed)


def _cycle(edges: dict[str, set[str]]) -> list[str]:
    """One cycle of the graph as a closed walk, or []."""
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for following in sorted(edges.get(node, ())):
            if found := visit(following, [*path, node]):
                return found
        done.add(node)
        return []

    for start in sorted(edges):
        if found := visit(start, []):
            return found
    return []


def _fault(found: Import) -> str | None:
    """What is wrong with one import, or None."""
    room, where = found.module.split(".")[0], f"{found.module}:{found.line}"
    head, _, rest = found.target.partition(".")
    if found.target.startswith("."):
        return f"{where} imports relatively ({found.target}); imports are absolute"
    if head == "textlatent":
        other = rest.split(".")[0] or "__init__"
        if other != room and not _allowed(rest or "__init__", ROOMS.get(room, set())):
            return f"{where} imports textlatent.{rest}; {room} may import {sorted(ROOMS.get(room, set())) or 'nothing'}"
        return None
    if head in sys.stdlib_module_names:
        return None
    if not _allowed(found.module, FOREIGN.get(head, set())):
        home = f"belongs to {sorted(FOREIGN[head])}" if head in FOREIGN else "is in no list"
        return f"{where} imports {head}, which {home}"
    if head in LATE and found.top:
        return f"{where} imports {head} at its top; import it inside the function that needs it"
    return None


def faults(package: Path) -> list[str]:
    """Every breach of the design in the package, as sentences; [] where there is none."""
    imports = read_imports(package)
    rooms = {p.stem for p in package.iterdir() if (p.is_dir() and any(p.rglob("*.py"))) or p.suffix == ".py"}
    found = [f"the room {room} is not listed" for room in sorted(rooms - set(ROOMS))]
    found += [sentence for each in imports if (sentence := _fault(each))]
    by_room: dict[str, set[str]] = {}
    by_module: dict[str, set[str]] = {}
    for each in imports:
        if each.target.startswith("textlatent."):
            target = each.target.removeprefix("textlatent.")
            by_module.setdefault(each.module, set()).add(target)
            if (other := target.split(".")[0]) != (room := each.module.split(".")[0]):
                by_room.setdefault(room, set()).add(other)
    for what, edges in (("rooms", by_room), ("files", by_module)):
        if walk := _cycle(edges):
            found.append(f"a cycle of {what}: {' -> '.join(walk)}")
    return found


def test_the_package_keeps_to_the_table() -> None:
    assert faults(PACKAGE) == []


def test_the_table_has_no_cycle() -> None:
    assert _cycle({room: {entry.split(".")[0] for entry in entries} for room, entries in ROOMS.items()}) == []


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"encoder/a.py": "import textlatent.decoder.b", "decoder/b.py": ""}, "a:1 imports textlatent.decoder.b"),
        ({"nats/a.py": "def f():\n    from textlatent.scores import Scores", "scores.py": ""}, "nats.a:2 imports"),
        (
            {"corpus/a.py": "if TYPE_CHECKING:\n    from textlatent.models import x", "models/__init__.py": ""},
            "corpus.a:2",
        ),
        ({"models/a.py": "from textlatent.corpus.source import x", "corpus/source.py": ""}, "models.a:1 imports"),
        ({"models/a.py": "from textlatent.corpus import tokenizer, source"}, "imports textlatent.corpus;"),
        (
            {"cli/a.py": "importlib.import_module('textlatent.training.loop')"},
            "cli.a:1 imports textlatent.training.loop",
        ),
        ({"cli/a.py": "def f():\n    import torch"}, "cli.a:2 imports torch"),
        ({"recipe/a.py": "import numpy as np"}, "recipe.a:1 imports numpy"),
        ({"nats/a.py": "import transformers"}, "nats.a:1 imports transformers"),
        ({"corpus/source.py": "from transformers import AutoTokenizer"}, "corpus.source:1 imports transformers"),
        ({"corpus/a.py": "import pandas"}, "pandas, which is in no list"),
        ({"diagnostics/a.py": "import sacrebleu"}, "at its top"),
        ({"nats/a.py": "from . import b", "nats/b.py": ""}, "imports relatively"),
        ({"nats/a.py": "import textlatent"}, "nats.a:1 imports textlatent"),
        ({"utils/a.py": ""}, "the room utils is not listed"),
        ({"helpers.py": ""}, "the room helpers is not listed"),
        (
            {"run/a.py": "from textlatent.run.b import x", "run/b.py": "def f():\n    import textlatent.run.a"},
            "a cycle of files: run.a -> run.b -> run.a",
        ),
        (
            {"run/a.py": "from textlatent.report import x", "report/b.py": "from textlatent.run import y"},
            "a cycle of rooms: report -> run -> report",
        ),
    ],
)
def test_the_guard_can_fail(tmp_path: Path, files: dict[str, str], sentence: str) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert any(sentence in fault for fault in faults(tmp_path)), faults(tmp_path)


def test_the_guard_lets_good_imports_pass(tmp_path: Path) -> None:
    for room in ("models", "corpus", "diagnostics", "cli", "run"):
        (tmp_path / room).mkdir()
    (tmp_path / "corpus/tokenizer.py").write_text("import sentencepiece, transformers, torch")
    (tmp_path / "models/a.py").write_text("import math\nfrom textlatent.corpus.tokenizer import x\nimport transformers")
    (tmp_path / "models/b.py").write_text("from textlatent.corpus import tokenizer")
    (tmp_path / "diagnostics/a.py").write_text("def f():\n    import sacrebleu")
    (tmp_path / "cli/a.py").write_text("import typer\ndef f():\n    from textlatent import run")
    (tmp_path / "run/a.py").write_text("import torch\nimport textlatent.models.a")
    assert faults(tmp_path) == []


def _loaded(code: str, tmp_path: Path) -> set[str]:
    """The top-level modules a fresh interpreter holds after running `code`."""
    script = f"import sys\nsys.path.insert(0, {str(PACKAGE.parent)!r})\n{code}\nprint(*sys.modules, sep=chr(10))"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {line.split(".")[0] for line in done.stdout.splitlines()}


def test_importing_the_package_imports_nothing(tmp_path: Path) -> None:
    assert not _loaded("import textlatent", tmp_path) & {"torch", "numpy", "transformers", "pydantic", "typer", "rich"}


def test_nats_does_not_import_transformers(tmp_path: Path) -> None:
    every_file = "for m in pkgutil.iter_modules(nats.__path__): importlib.import_module('textlatent.nats.' + m.name)"
    loaded = _loaded(f"import importlib, pkgutil\nfrom textlatent import nats\n{every_file}", tmp_path)
    assert "torch" in loaded
    assert not loaded & {"transformers", "datasets", "accelerate", "evaluate"}
