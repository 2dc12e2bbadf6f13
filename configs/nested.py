"""Nested settings: their dotted keys, and which of them a model has."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

__all__ = ["leaves", "refusal", "section_of", "setting_names", "split"]


def split(
    values: Mapping[str, Any], model: type[BaseModel] | None, defaults: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide settings into those that a model has, and others that differ from their defaults.

    Args:
        values: the settings.
        model: has some of them; None: none.
        defaults: of settings that are dropped where the model does not have them.

    Returns:
        The settings of the model, and the others.
    """
    settings: dict[str, Any] = {}
    unused: dict[str, Any] = {}
    fields = model.model_fields if model else {}
    for key, value in values.items():
        inner = section_of(fields[key].annotation) if key in fields else None
        if isinstance(value, Mapping) and (inner or key not in fields):
            inside = defaults.get(key)
            known, rest = split(value, inner, inside if isinstance(inside, Mapping) else {})
            if inner:
                settings[key] = known
            if rest:
                unused[key] = rest
        elif key in fields:
            settings[key] = value
        elif key not in defaults or value != defaults[key]:
            unused[key] = value
    return settings, unused


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The model that a field holds; None where it holds a plain value.

    Args:
        annotation: of the field.
    """
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def refusal(section: str, name: Any, unused: Mapping[str, Any], model: type[BaseModel]) -> str:
    """One sentence on the settings that a part does not have.

    Args:
        section: dotted, as it is written on the command line.
        name: of the part.
        unused: the settings that it does not have.
        model: of those that it has.
    """
    keys = [key for key in setting_names(model, f"{section}.") if key != f"{section}.name"]
    remedy = f"its settings are {', '.join(keys)}" if keys else "it has none"
    named = ", ".join(f"{key}={value!r}" for key, value in leaves(unused, f"{section}."))
    return f"{named}: {name} has no such setting; {remedy}"


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All dotted keys of nested settings, and their values.

    Args:
        values: the settings.
        prefix: of all keys.
    """
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def setting_names(model: type[BaseModel], prefix: str = "") -> list[str]:
    """All dotted keys of a config model.

    Args:
        model: a section, or the whole config.
        prefix: of all keys.

    Returns:
        Keys such as ``"encoder.width"``, those of sections' settings without the sections themselves.
    """
    keys = []
    for name, field in model.model_fields.items():
        inner = section_of(field.annotation)
        keys += setting_names(inner, f"{prefix}{name}.") if inner else [prefix + name]
    return keys
