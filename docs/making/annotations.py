"""Which class does an annotation mean? Names in signatures, made whole by the imports of their module.

`Pair` in a module that says `from probe.checkpoints.pair import Pair` is `probe.checkpoints.pair.Pair`, and leads
there; `Path` of pathlib stays as it is, whatever else is called Path here.
"""

import ast

SHAPES = ("Float", "Int", "Bool", "Shaped", "UInt", "Integer", "Inexact", "Num")  # of jaxtyping: their text is no name


def known_names(tree: ast.Module, module: str, package: str) -> dict[str, str]:
    """Local name -> dotted one, of everything of `package` that the module imports or defines."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == package:
            found |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    here = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    return found | {name: f"{module}.{name}" for name in here}


class Whole(ast.NodeTransformer):
    """Annotations with whole names, and without quotes."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """The dotted name, where it is one of ours."""
        return ast.parse(self.names[node.id], mode="eval").body if node.id in self.names else node

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        """A quoted annotation, unquoted."""
        if not isinstance(node.value, str):
            return node
        try:
            return self.visit(ast.parse(node.value, mode="eval").body)
        except SyntaxError:
            return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """The text of a shape stays text, and so do the words of a Literal."""
        if isinstance(node.value, ast.Name) and node.value.id in (*SHAPES, "Literal"):
            return node
        return self.generic_visit(node)  # type: ignore[return-value]


def signature(node: ast.FunctionDef, names: dict[str, str]) -> str:
    """(argument: annotation = default, ...) -> annotation."""
    whole = Whole(names)
    parts = node.args
    for each in (*parts.posonlyargs, *parts.args, *parts.kwonlyargs, parts.vararg, parts.kwarg):
        if each is not None and each.annotation is not None:
            each.annotation = whole.visit(each.annotation)
    returns = f" -> {ast.unparse(whole.visit(node.returns))}" if node.returns else ""
    return f"({ast.unparse(parts)}){returns}"
