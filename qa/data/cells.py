"""What programs write into a cell of text: JSON, or a value as Python prints it."""

import ast
import io
import json
import tokenize
from typing import Any

_UNREADABLE = (ValueError, SyntaxError, TypeError, RecursionError, MemoryError)
_NOTHING = ("nan", "NaN", "null", "NA")
_LITERALS = (tokenize.STRING, tokenize.NUMBER)


def parse_cell(text: str) -> Any:  # noqa: ANN401  # whatever the cell holds
    """Return the list or object that a cell holds, as JSON or as pandas writes lists, dicts and arrays.

    Raises:
        ValueError: neither.

    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _python_value(text)


def holds_structure(text: str) -> bool:
    """Tell a cell that looks like a list or an object from plain text."""
    return text.lstrip()[:1] in {"{", "["}


def _python_value(text: str) -> Any:  # noqa: ANN401
    try:
        tree = ast.parse(_with_commas(text.strip()), mode="eval")
        return ast.literal_eval(_Plain().visit(tree))
    except (*_UNREADABLE, tokenize.TokenError) as error:
        raise ValueError("neither JSON nor a Python literal") from error


class _Plain(ast.NodeTransformer):
    """`array([…], dtype=…)`, `np.int64(3)` -> what is in the brackets; `nan` -> None."""

    def visit_Call(self, node: ast.Call) -> ast.AST:  # the library's name
        return self.visit(node.args[0]) if node.args else node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(None) if node.id in _NOTHING else node


def _with_commas(text: str) -> str:
    """Put commas between neighbouring literals: NumPy prints none, and Python joins neighbouring strings."""
    words, before = [], tokenize.ENCODING
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in _LITERALS and before in _LITERALS:
            words.append(",")
        if token.type not in (tokenize.NL, tokenize.NEWLINE):
            words.append(token.string)
            before = token.type
    return " ".join(words)
