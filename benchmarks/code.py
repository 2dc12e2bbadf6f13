"""Lengths of files and functions, exported functions without ``Args``, and files touched to add a part.

Printed by ``python -m benchmarks.code [FOLDER]``; FOLDER is a checkout, for instance of another version.
"""

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

ROOMS = ("base", "configs", "pretrain", "index", "downstream", "serve", "sora_video")


def sources(root: Path) -> Iterator[tuple[str, Path]]:
    """Every source file with its room."""
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            if not any(parent.is_symlink() for parent in path.parents):
                yield room, path


def functions(tree: ast.Module) -> list[ast.FunctionDef]:
    """All functions and methods of a module."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def undocumented(tree: ast.Module) -> int:
    """Functions in ``__all__`` that take arguments and have no ``Args``."""
    exported: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            exported = set(ast.literal_eval(node.value))
    return sum(
        bool(node.args.args or node.args.kwonlyargs) and "Args:" not in (ast.get_docstring(node) or "")
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name in exported
    )


def row(name: str, trees: Sequence[tuple[int, ast.Module]]) -> str:
    """A line of the table: counts, then median, 95th percentile and maximum of lines."""
    files = [lines for lines, _ in trees]
    lengths = [
        (node.end_lineno or node.lineno) - node.lineno + 1 for _, tree in trees for node in functions(tree)
    ]
    cells = [
        len(files),
        *spread(files),
        len(lengths),
        *spread(lengths),
        sum(undocumented(tree) for _, tree in trees),
    ]
    return f"| {name} | " + " | ".join(f"{cell:.0f}" for cell in cells) + " |"


def spread(lines: Sequence[int]) -> list[float]:
    """Median, 95th percentile and maximum."""
    return [*np.quantile(lines, [0.5, 0.95]), max(lines)]


def files_to_add(root: Path) -> dict[str, int]:
    """Files touched to add a part, by the section of docs/extending.md that shows it.

    Args:
        root: a checkout.

    Returns:
        By section: the files that it says to write or to change.
    """
    text = (root / "docs" / "extending.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    touched = {
        name: set(re.findall(r"^The (?:file|line), (?:in `\w+` of )?`([\w./]+)`", body, re.MULTILINE))
        for name, body in sections
    }
    return {name: len(files) for name, files in touched.items() if files}


def main() -> None:
    """Print the tables."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1])
    read = [(room, path.read_text(encoding="utf-8")) for room, path in sources(root)]
    trees = [(room, (len(text.splitlines()), ast.parse(text))) for room, text in read]
    print("| room | files | median | 95 % | max | functions | median | 95 % | max | exported without Args |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in ROOMS:
        chosen = [tree for room, tree in trees if room == name]
        if chosen:
            print(row(name, chosen))
    print(row("all", [tree for _, tree in trees]))
    if (root / "docs" / "extending.md").is_file():
        print("\n| part | files touched to add one |\n|---|---|")
        for name, files in files_to_add(root).items():
            print(f"| {name} | {files} |")


if __name__ == "__main__":
    main()
