"""The YAML of a config, which may come from a stranger: bounded in size, and nothing in it is resolved."""

from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf

__all__ = ["plain", "read_yaml"]

MOST_BYTES = 2**16
MOST_VALUES = 10_000
"""Keys and values, those that aliases and merge keys repeat counted each time."""


def read_yaml(path: Path) -> DictConfig | ListConfig:
    """Read a YAML file.

    Args:
        path: the file.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not UTF-8, or larger or more deeply nested than any config.
        yaml.YAMLError: the file is not valid YAML.
    """
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"is larger than {MOST_BYTES // 1024} KiB")
    text = data.decode()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None and count(root, {}) > MOST_VALUES:
            raise ValueError(f"has more than {MOST_VALUES:,} keys and values, with what its aliases repeat")
        return OmegaConf.load(StringIO(text))
    except RecursionError as error:
        raise ValueError("is nested too deeply, or an alias contains itself") from error


def count(node: yaml.Node, known: dict[int, int]) -> int:
    """Keys and values of a node, in time that does not grow with what aliases repeat."""
    if id(node) not in known:
        parts = node.value if isinstance(node, yaml.CollectionNode) else ()
        nodes = (part for entry in parts for part in (entry if isinstance(entry, tuple) else (entry,)))
        known[id(node)] = 1 + sum(count(part, known) for part in nodes)
    return known[id(node)]


def plain(values: DictConfig | ListConfig) -> Any:
    """Settings as dictionaries, lists and scalars.

    Args:
        values: as OmegaConf reads them.

    Raises:
        ValueError: a value is an interpolation (``${...}``), which would depend on the machine.
    """
    container = OmegaConf.to_container(values, resolve=False)
    refuse_interpolation(container, ())
    return container


def refuse_interpolation(value: Any, key: tuple[str, ...]) -> None:
    """Name the first ``${...}``."""
    if isinstance(value, dict):
        for name, entry in value.items():
            refuse_interpolation(entry, (*key, str(name)))
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            refuse_interpolation(entry, (*key, str(number)))
    elif isinstance(value, str) and "${" in value:
        raise ValueError(f"{'.'.join(key)}={value!r}: ${{...}} is not resolved; write the value itself")
