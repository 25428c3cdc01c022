"""Count lines of code, without tests, comments, docstrings and blank lines. Run: make lines."""

import ast
import io
import tokenize
from pathlib import Path

PACKAGES = ("fastrot", "pipelines", "benchmarks")
IGNORED = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def count(source: str) -> int:
    """Return the number of lines of a module that contain code; a string statement counts as a docstring."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in IGNORED:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        alone = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if alone and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def main() -> None:
    """Print the count of each package and the total."""
    total = 0
    for package in PACKAGES:
        found = sum(count(path.read_text()) for path in sorted(Path(package).rglob("*.py")))
        print(f"{package:12} {found:7,}")
        total += found
    print(f"{'all':12} {total:7,}")


if __name__ == "__main__":
    main()
