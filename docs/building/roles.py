"""Sphinx's roles in docstrings, such as ``:func:`load_encoder```, as the site's links."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import griffe

ROLE = re.compile(r":\w+:`~?\.?([\w.]+)`")
REFERENCE = Path(__file__).parents[1] / "reference"


class Roles(griffe.Extension):
    """Turns roles into links to what the reference documents, and into code where it does not."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of an object.

        Args:
            obj: what griffe read.
        """
        if obj.docstring:
            obj.docstring.value = ROLE.sub(link, obj.docstring.value).replace("``", "`")


def link(role: re.Match[str]) -> str:
    """A role in Markdown."""
    name = role[1].rpartition(".")[2]
    target = documented().get(name)
    return f"[`{name}`][{target}]" if target else f"`{name}`"


@cache
def documented() -> dict[str, str]:
    """What the pages of the reference describe: identifiers by their last names."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(REFERENCE.glob("*.md")))
    return {name.rpartition(".")[2]: name for name in re.findall(r"^::: ([\w.]+)", text, re.MULTILINE)}
