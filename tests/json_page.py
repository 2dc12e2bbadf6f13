"""The fields of docs/reference/json.md, and whether what a verb printed has them."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs/reference/json.md"
SECTION = re.compile(r"^## sora (.*?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
FIELD = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)


def documented():
    """Fields by verb, each as its parts: names, `[]` for an element of a list, None for any name."""
    sections = SECTION.findall(PAGE.read_text(encoding="utf-8"))
    return {verb: {parts(field) for field in FIELD.findall(text)} for verb, text in sections}


def parts(field):
    """The parts of a field as the page writes it, such as `videos[].fps`."""
    found = [part for part in re.split(r"\.|(\[\])", field) if part]
    return tuple(None if part.startswith("<") else part for part in found)


def leaves(value, known, path=()):
    """The paths of all values within a result; `known` are documented, of which some have open names."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            steps = {
                field[len(path)] for field in known if len(field) > len(path) and field[: len(path)] == path
            }
            yield from leaves(inner, known, (*path, None if None in steps and key not in steps else key))
    elif isinstance(value, list) and value:
        for inner in value:
            yield from leaves(inner, known, (*path, "[]"))
    else:
        yield path


def shortened(path, known):
    """A path as far as it is documented, where its last part has an open name, which may hold more."""
    return next((field for field in known if field[-1] is None and path[: len(field)] == field), path)


def check(verb, *results, absent=()):
    """All that was printed is documented, and all that is documented was printed, or lies in what was empty.

    `absent` are the first parts of fields that a verb prints only at times.
    """
    fields = documented()[verb]
    found = {shortened(path, fields) for result in results for path in leaves(result, fields)}
    outer = {path for path in found if path not in fields}
    stray = {path for path in outer if not any(field[: len(path)] == path for field in fields)}
    assert not stray, f"{verb}: not documented: {stray}"
    missing = {field for field in fields - found if not any(field[: len(path)] == path for path in outer)}
    assert not {field for field in missing if field[0] not in absent}, f"{verb}: not printed: {missing}"
