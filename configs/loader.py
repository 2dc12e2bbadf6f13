"""From a recipe's name or a YAML file, and dotted overrides, to a checked config."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError
from yaml import YAMLError

from sora_video.base.errors import ConfigError

from .nested import setting_names, split
from .parts import EncoderConfig, MethodConfig, TextConfig
from .schema import PretrainConfig
from .text import plain, read_yaml

__all__ = [
    "check_settings",
    "dump_config",
    "load_config",
    "override",
    "read_settings",
    "recipe_names",
    "recipe_path",
]

Settings = TypeVar("Settings", bound=BaseModel)

RECIPES = Path(__file__).parent
PRETRAIN_KEYS = "see `sora pretrain --dry-run` for all keys"


def recipe_names() -> list[str]:
    """Names of the recipes that ship with the package, sorted."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def recipe_path(name: str) -> Path:
    """Path of a shipped recipe or of a YAML file.

    Args:
        name: a recipe's name such as ``"tiny-cpu"``, or the path of a YAML file.

    Raises:
        ConfigError: it is neither a recipe nor a file.
    """
    if name in recipe_names():
        return RECIPES / f"{name}.yaml"
    if Path(name).is_file():
        return Path(name)
    raise ConfigError(
        f"config {name!r}: neither a file nor a recipe; recipes are {', '.join(recipe_names())}"
    )


def load_config(
    name: str | None = None, overrides: Sequence[str] = (), *, stored: bool = False
) -> PretrainConfig:
    """Read a recipe or file, apply overrides, check every key and value.

    Args:
        name: a recipe's name or a YAML file; None: the defaults.
        overrides: ``"dotted.key=value"`` strings, the later ones win.
        stored: whether it is the config of a stored run, which may have settings that its encoder or method
            does not have; otherwise they are refused where they differ from what version 0.1.0 wrote.

    Returns:
        The resolved config.

    Raises:
        ConfigError: an unknown key, a value out of range, or text that cannot be parsed.
    """
    return check_settings(PretrainConfig, read_settings(name, overrides), stored=stored)


def read_settings(name: str | None = None, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read a recipe or file, and apply overrides; nothing is checked yet.

    Where overrides name another encoder, method or text tower than the recipe, settings of the recipe that
    this one does not have are left out.

    Args:
        name: a recipe's name or a YAML file; None: no settings.
        overrides: ``"dotted.key=value"`` strings, the later ones win.

    Returns:
        The settings that they name, and no others.

    Raises:
        ConfigError: text that cannot be parsed.
    """
    try:
        base = plain(read_yaml(recipe_path(name))) if name else {}
    except (OmegaConfBaseException, YAMLError, OSError, ValueError, TypeError) as error:
        raise ConfigError(f"config {name}: cannot be parsed: {first_line(error)}; check its YAML") from error
    if not isinstance(base, dict):
        raise ConfigError(f"config {name}: is a list; write a mapping of keys to values")
    return override(of_named_parts(base, overrides), overrides)


def of_named_parts(base: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A recipe without the settings of parts that overrides put others in the place of.

    Raises:
        ConfigError: there is no such part.
    """
    kept, given = dict(base), override({}, overrides)
    for config in (EncoderConfig, MethodConfig, TextConfig):
        name = config.section()
        own, other = kept.get(name), given.get(name)
        if not isinstance(own, Mapping) or not isinstance(other, Mapping) or "name" not in other:
            continue
        if other["name"] != own.get("name", config.model_fields["name"].default):
            model = config.registry.load(other["name"]).settings.model_for({**own, **other})
            kept[name] = split(own, model, {})[0]
    loss, method = kept.get("loss"), given.get(MethodConfig.section())
    if not isinstance(loss, Mapping) or not isinstance(method, Mapping) or "name" not in method:
        return kept
    if not MethodConfig.registry.load(method["name"]).settings.takes_intra:
        kept["loss"] = {name: value for name, value in loss.items() if not name.startswith("intra")}
    return kept


def override(base: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Nested settings with some of them replaced.

    Args:
        base: the settings.
        overrides: ``"dotted.key=value"`` strings, the later ones win; a value is YAML.

    Returns:
        The settings, with those of the overrides.

    Raises:
        ConfigError: an override cannot be parsed.
    """
    for text in overrides:
        if "=" not in text:
            raise ConfigError(f"override {text!r}: must have the form key=value, as in optim.epochs=10")
    try:
        changes = plain(OmegaConf.from_dotlist(list(overrides)))
        values: dict[str, Any] = plain(OmegaConf.merge(dict(base), changes))
    except (OmegaConfBaseException, YAMLError, ValueError, TypeError) as error:
        raise ConfigError(
            f"override {' '.join(overrides)}: cannot be parsed: {first_line(error)}; check its YAML"
        ) from error
    return values


def check_settings(
    model: type[Settings], values: Mapping[str, Any], *, stored: bool = False, lists: str = PRETRAIN_KEYS
) -> Settings:
    """Check every key and value of nested settings.

    Args:
        model: what they are settings of.
        values: the settings.
        stored: see :func:`load_config`.
        lists: where a user finds all keys, for the error.

    Returns:
        An instance of the model.

    Raises:
        ConfigError: an unknown key, or a value out of range.
    """
    try:
        return model.model_validate(values, context={"stored": stored})
    except ValidationError as error:
        raise ConfigError("; ".join(humanise(error, model, lists))) from error


def dump_config(config: PretrainConfig) -> str:
    """The config as YAML, every key spelt out.

    Args:
        config: all settings.

    Returns:
        YAML that :func:`load_config` reads back as the same config.
    """
    return OmegaConf.to_yaml(OmegaConf.create(config.model_dump(mode="json")))


def first_line(error: Exception) -> str:
    """The first line of an exception's message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def humanise(error: ValidationError, model: type[BaseModel], lists: str) -> Iterator[str]:
    """One sentence per fault, naming the key, the value and the remedy."""
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            close = get_close_matches(key, [*model.model_fields, *setting_names(model)], n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else lists
            yield f"unknown key: {key!r}; {hint}"
        elif fault["type"] == "value_error":
            yield str(fault["ctx"]["error"])
        else:
            yield f"{key}={fault['input']!r}: {lower_first(fault['msg'])}"


def lower_first(text: str) -> str:
    """``"Input should be"`` becomes ``"input should be"``."""
    return text[:1].lower() + text[1:]
