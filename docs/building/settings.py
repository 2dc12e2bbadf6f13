"""The page of all settings of ``sora pretrain``, made from the models that check them."""

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from typing import Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sora_video.configs.loader import recipe_names, recipe_path
from sora_video.configs.nested import section_of
from sora_video.configs.parts import ENCODERS, METHODS, TOWERS
from sora_video.configs.schema import PretrainConfig
from sora_video.configs.tasks import TASKS, TaskConfig

__all__ = ["settings_page"]

HEAD = """# Settings

All settings of `sora pretrain`, as `key=value` after the command, or in a YAML file for `--config`.
`sora pretrain VIDEOS --out RUN --dry-run` prints them with the values that a run would have; `config.yaml` of
a run folder keeps them. A key that is unknown, or that the chosen part does not have, is refused.
"""
PARTS = {"encoder": ENCODERS, "method": METHODS, "text": TOWERS, "tasks": TASKS}
"""Sections whose settings depend on the part that they name."""


def settings_page() -> str:
    """Every section with its settings, their defaults and meanings, and the recipes.

    Returns:
        Markdown.
    """
    lines = [HEAD]
    for name, field in PretrainConfig.model_fields.items():
        if model := TaskConfig if name == "tasks" else section_of(field.annotation):
            lines += section(name, model)
        elif name == "seed":
            lines += [f"`seed` ({field.default}): {meanings(PretrainConfig)[name]}\n"]
    lines.append("## Recipes\n\n`--config NAME` takes one of these, and key=value changes it.\n")
    for name in recipe_names():
        lines.append(f"### {name}\n\n```yaml\n{recipe_path(name).read_text(encoding='utf-8').strip()}\n```\n")
    return "\n".join(lines)


def section(name: str, model: type[BaseModel]) -> Iterator[str]:
    """A section: what all of its parts have, then each part with its own settings."""
    one, prefix = ("tasks.{}", "tasks.NAME.") if name == "tasks" else (f"{name}.name={{}}", f"{name}.")
    yield f"## {name}\n\n{description(model)}\n"
    yield from table(model, prefix)
    registry = PARTS.get(name)
    for part in registry.homes if registry else ():
        found = registry.load(part)
        yield f"### {one.format(part)}\n\n{description(found)}\n"
        yield from table(found.settings, prefix.replace("NAME", part), without=set(model.model_fields))


def table(model: type[BaseModel], prefix: str, without: set[str] = frozenset()) -> Iterator[str]:
    """A table of settings, those of inner sections included."""
    rows = list(settings(model, prefix, without))
    if rows:
        yield "| setting | default | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def settings(model: type[BaseModel], prefix: str, without: set[str]) -> Iterator[str]:
    """The rows of such a table."""
    said = meanings(model)
    for name, field in model.model_fields.items():
        if name in without:
            continue
        if inner := section_of(field.annotation):
            yield from settings(inner, f"{prefix}{name}.", set())
            continue
        meaning = said.get(name, "") + choices(field.annotation)
        yield f"| `{prefix}{name}` | {cell(default_of(field))} | {cell(meaning)} |"


def default_of(field: FieldInfo) -> str:
    """A setting's default as YAML writes it; empty where it has none."""
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True)
    return f"`{json.dumps(value) if not isinstance(value, str) else value}`"


def choices(annotation: object) -> str:
    """The values that a setting takes, where they are few."""
    if get_origin(annotation) is not Literal:
        return ""
    return f" One of {', '.join(f'`{value}`' for value in get_args(annotation))}."


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """What the strings below a model's fields say, those of the models that it derives from included."""
    said: dict[str, str] = {}
    for parent in reversed(model.__mro__):
        if not issubclass(parent, BaseModel) or parent is BaseModel:
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(parent))).body
        for field, text in zip(tree.body, tree.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                said[ast.unparse(field.target)] = " ".join(str(text.value.value).split())
    return said


def description(model: type) -> str:
    """The first paragraph of a class's docstring."""
    return (inspect.getdoc(model) or "").replace("``", "`").split("\n\n")[0]


def cell(text: str) -> str:
    """Text for a cell of a table."""
    return text.replace("``", "`").replace("|", r"\|")
