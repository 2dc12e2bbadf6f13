"""From a recipe's name or a YAML file, and dotted overrides, to a checked config."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError
from yaml import YAMLError

from sora_video.base.errors import ConfigError

from .parts import setting_names
from .schema import PretrainConfig
from .text import plain, read_yaml

__all__ = ["dump_config", "load_config", "recipe_names", "recipe_path"]

RECIPES = Path(__file__).parent


def recipe_names() -> list[str]:
    """Names of the recipes that ship with the package, sorted."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def recipe_path(name: str) -> Path:
    """Path of a shipped recipe or of a YAML file.

    Args:
        name: a recipe's name such as ``"tiny-cpu"``, or the path of a YAML file.

    Raises:
        ConfigError: there is neither.
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
    for override in overrides:
        if "=" not in override:
            raise ConfigError(f"override {override!r}: must have the form key=value, as in optim.epochs=10")
    try:
        base = read_yaml(recipe_path(name)) if name else OmegaConf.create()
        changes = OmegaConf.from_dotlist(list(overrides))
        values = plain(OmegaConf.merge(plain(base), plain(changes)))
    except (OmegaConfBaseException, YAMLError, OSError, ValueError, TypeError) as error:
        raise ConfigError(f"config {name}: cannot be parsed: {first_line(error)}; check its YAML") from error
    if not isinstance(values, dict):
        raise ConfigError(f"config {name}: holds a list; a config is a mapping of keys to values")
    try:
        return PretrainConfig.model_validate(values, context={"stored": stored})
    except ValidationError as error:
        raise ConfigError("; ".join(humanise(error))) from error


def dump_config(config: PretrainConfig) -> str:
    """The config as YAML, every key spelt out."""
    return OmegaConf.to_yaml(OmegaConf.create(config.model_dump(mode="json")))


def first_line(error: Exception) -> str:
    """The first line of an exception's message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def humanise(error: ValidationError) -> Iterator[str]:
    """One sentence per fault, naming the key, the value and the remedy."""
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            close = get_close_matches(
                key, [*PretrainConfig.model_fields, *setting_names(PretrainConfig)], n=1, cutoff=0.5
            )
            hint = f"did you mean {close[0]!r}?" if close else "see `sora pretrain --dry-run` for all keys"
            yield f"unknown key: {key!r}; {hint}"
        elif fault["type"] == "value_error":
            yield str(fault["ctx"]["error"])
        else:
            yield f"{key}={fault['input']!r}: {lower_first(fault['msg'])}"


def lower_first(text: str) -> str:
    """``"Input should be"`` becomes ``"input should be"``."""
    return text[:1].lower() + text[1:]
