"""Fingerprint of the code that a step runs, so that editing it makes the step's results stale.

The fingerprint covers the step's module and every module of this package that it imports, directly
or not. It is blind to comments, docstrings and layout, and leaves out `INFRASTRUCTURE`, which
carries settings, files and messages but computes no result.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
INFRASTRUCTURE = frozenset(
    {
        "",
        "params",
        "section",
        "cluster_params",
        "social_params",
        "transfer_params",
        "llm_params",
        "pretraining_params",
        "mistakes",
        "artifacts",
        "progress",
        "cli",
    }
    | {"jobs", "sources", "workdir", "hashing", "manifests", "versions"}
    # How replies are fetched and kept. What is asked, and what a reply is, stands in llm.requests.
    | {f"llm.{name}" for name in ("client", "session", "singles", "batches", "batch", "intents", "pacing")}
    | {f"llm.{name}" for name in ("store", "segments", "durable", "ledger", "prices", "providers")}
    | {"llm.anthropic_messages", "llm.openai_chat"}
)


def fingerprint(*modules: str) -> str:
    """Hash (16 hex digits) of ``modules`` and all they import.

    Args:
        modules: dotted names below ``habits``. A package stands for everything in its folder.

    Raises:
        ModuleNotFoundError: there is no such module or package.
    """
    digest = hashlib.sha256()
    for file in sorted({file for module in modules for file in reached(module)}):
        digest.update(f"{file.relative_to(PACKAGE)}\0{_content(file)}\0".encode())
    return digest.hexdigest()[:16]


def reached(module: str) -> set[Path]:
    """Files of ``module`` and of everything of this package that it imports, infrastructure aside."""
    found: set[Path] = set()
    todo = list(_roots(module))
    while todo:
        file = todo.pop()
        if file not in found:
            found.add(file)
            todo += [imported for name in _imports(file) for imported in _files(name)]
    return found


def _roots(module: str) -> Sequence[Path]:
    folder = PACKAGE.joinpath(*module.split("."))
    if folder.is_dir():
        return [file for file in folder.rglob("*") if file.is_file() and file.suffix != ".pyc"]
    if not folder.with_suffix(".py").exists():
        raise ModuleNotFoundError(f"habits.{module}: no such module or package")
    return _files(module)


@cache
def _files(name: str) -> tuple[Path, ...]:
    """The file of a module or package, with the ``__init__`` of the packages it lies in.

    A package's other files (templates, tables) belong to its ``__init__``: it is what would read them.
    """
    if name in INFRASTRUCTURE:
        return ()
    parts = name.split(".")
    folders = [PACKAGE.joinpath(*parts[: depth + 1]) for depth in range(len(parts))]
    packages = [file for folder in folders for file in _parts(folder)]
    module = folders[-1].with_suffix(".py")
    return (*packages, module) if module.exists() else tuple(packages)


@cache
def _parts(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if _is_part(file)] if folder.is_dir() else []


def _is_part(file: Path) -> bool:
    return file.name == "__init__.py" or (file.is_file() and file.suffix not in {".py", ".pyc"})


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_bytes())


@cache
def _imports(file: Path) -> frozenset[str]:
    """Names below ``habits`` that a Python file imports (``from a import b`` gives a and a.b)."""
    return frozenset(_imported(_tree(file))) if file.suffix == ".py" else frozenset()


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name.removeprefix("habits.") for name in names if name.startswith("habits."))


@cache
def _content(file: Path) -> str:
    if file.suffix != ".py":
        return hashlib.sha256(file.read_bytes()).hexdigest()
    tree = _tree(file)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    return repr(_structure(tree))


def _structure(node: object) -> object:
    """A syntax tree as plain values; empty fields are left out, as Python versions differ in them."""
    if isinstance(node, ast.AST):
        fields = [
            (name, _structure(value)) for name, value in ast.iter_fields(node) if value not in (None, [])
        ]
        return type(node).__name__, fields
    if isinstance(node, list):
        return [_structure(value) for value in node]
    return node
