"""Parts of one kind by name: encoders, methods, data sets, heads."""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import Distribution, entry_points
from typing import Any

from .errors import ConfigError

__all__ = ["Registry"]


class Registry:
    """Where the parts of one kind are defined; a part is imported when it is first used.

    Other packages add parts through entry points, whose values have the same form.

    Args:
        key: the setting or option that names a part, such as ``"encoder.name"``.
        group: the entry points' group, such as ``"sora_video.encoders"``.
        homes: ``"package.module:Name"`` of each part by the part's name.
    """

    def __init__(self, key: str, group: str, homes: Mapping[str, str]) -> None:
        self.key, self.group, self.homes = key, group, homes

    def all_homes(self) -> dict[str, str]:
        """Where all parts are defined, those of other packages last."""
        added = {point.name: point.value for point in entry_points(group=self.group)}
        return {**self.homes, **{name: home for name, home in added.items() if name not in self.homes}}

    def names(self) -> list[str]:
        """Names of all parts, those of other packages last."""
        return list(self.all_homes())

    def distribution(self, name: str) -> Distribution | None:
        """The installed package that adds a part; None of a part that is defined here, or unknown."""
        added = (point.dist for point in entry_points(group=self.group) if point.name == name)
        return None if name in self.homes else next(added, None)

    def load(self, name: str) -> Any:
        """The part of that name.

        Args:
            name: one of :meth:`names`.

        Raises:
            ConfigError: no part has this name, or its module cannot be imported.
        """
        home = self.homes.get(name) or self.all_homes().get(name)
        if home is None:
            raise ConfigError(f"{self.key}={name!r}: is not known; choose one of {', '.join(self.names())}")
        module, _, attribute = home.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except Exception as error:  # a module of another package may raise any
            line = " ".join(str(error).split()) or type(error).__name__
            raise ConfigError(
                f"{self.key}={name!r}: {home} cannot be imported: {line}; reinstall its package"
            ) from error
