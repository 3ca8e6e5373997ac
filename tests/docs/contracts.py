"""Writes docs/reference/contracts.md from docstrings: `python -m tests.docs.contracts`."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from types import ModuleType

from tests.docs.blocks import ROOT

from schedcore import protocols, values

PAGE = ROOT / "docs/reference/contracts.md"
HEAD = """# The contracts

What a backend promises to the core, and the values that the two exchange. This page is made from the
docstrings of `src/schedcore/protocols.py` and `src/schedcore/values.py` (`python -m tests.docs.contracts`).
How to keep all of this, step by step: [Write a backend](../how-to/write-a-backend.md).
"""


def render() -> str:
    """Make the page."""
    parts = [HEAD, _prose(inspect.getdoc(protocols) or "")]
    parts += ["## The protocols", *_members(protocols), "## The values", _prose(inspect.getdoc(values) or "")]
    return "\n\n".join(part.strip("\n") for part in [*parts, *_members(values)]) + "\n"


def _members(module: ModuleType) -> Iterator[str]:
    body = ast.parse(inspect.getsource(module)).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.ClassDef):
            yield f"### {node.name}"
            yield from _of_class(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(after, ast.Expr):
            shown = ast.unparse(node).replace(": TypeAlias", "")
            yield f"`{shown}`: {_prose(str(ast.literal_eval(after.value)))}"


def _of_class(node: ast.ClassDef) -> Iterator[str]:
    yield _prose(ast.get_docstring(node) or "")
    fields = [ast.unparse(part) for part in node.body if isinstance(part, ast.AnnAssign | ast.Assign)]
    if fields:
        yield "\n".join(f"* `{field}`" for field in fields)
    for method in node.body:
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"**{_signature(method)}**"
            yield _prose(ast.get_docstring(method) or "")


def _signature(method: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    arguments = ast.unparse(method.args).removeprefix("self, ").removeprefix("self")
    word = "async " if isinstance(method, ast.AsyncFunctionDef) else ""
    returns = ast.unparse(method.returns) if method.returns else "None"
    return f"`{word}{method.name}({arguments}) -> {returns}`"


def _prose(text: str) -> str:
    """Make Markdown of a docstring: what is indented is a drawing or code."""
    parts = []
    for part in inspect.cleandoc(text).split("\n\n"):
        is_code = all(line.startswith("    ") for line in part.splitlines())
        parts.append(f"```\n{textwrap.dedent(part)}\n```" if is_code else part)
    return "\n\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(render())
