"""The package's own source: its files, and what each imports."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "qa"
FILES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))}
"""Paths by module name, such as `qa.data.sources` and `qa.data.__init__`."""


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path):
    """Dotted names that a file imports, at any place, also in functions and for type checkers."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def known(module):
    """Modules of the package that `module` imports; packages only re-export, so they are no modules here."""
    return {name for name in imports(FILES[module]) if name in FILES}


def reachable(module):
    found, waiting = set(), [module]
    while waiting:
        for other in known(waiting.pop()) - found:
            found.add(other)
            waiting.append(other)
    return found


def definitions(path, kinds):
    """Named definitions of a file and the lines of their bodies, docstrings aside."""
    for node in ast.walk(tree(path)):
        if isinstance(node, kinds):
            documented = sum(text.end_lineno - text.lineno + 1 for text in ast.walk(node) if is_docstring(text))
            yield node.name, node.end_lineno - node.body[0].lineno + 1 - documented


def is_docstring(node):
    """Also of an attribute, which stands below it."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
