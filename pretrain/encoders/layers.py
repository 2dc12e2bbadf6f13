"""The depth at which the weights of an encoder's trunks lie, and keeping the first of them as they are."""

from collections.abc import Iterator

from torch import nn
from torch.nn import Parameter

from sora_video.base.errors import ConfigError

from .streams import TrunkModule

__all__ = ["freeze", "is_frozen", "layers_above"]


def layers_above(network: nn.Module) -> dict[Parameter, int]:
    """How many layers of its trunk lie above each weight; those are its parts, and what follows the last.

    Args:
        network: an encoder, or a network that has one.

    Returns:
        The count by weight; weights outside trunks, such as those of an audio branch, are missing.
    """
    return {
        weight: len(learning_parts(trunk)) + 1 - layer
        for trunk in trunks(network)
        for weight, layer in layers(trunk).items()
    }


def freeze(encoder: nn.Module, first: int | str) -> list[nn.Module]:
    """Keep the first layers of each trunk as they are: their weights take no gradients.

    Args:
        encoder: is changed in place.
        first: how many parts of each trunk, with the weights before them; 0: none; ``"trunk"``: all of it.

    Returns:
        The modules that are to stay in evaluation mode, so that their statistics stay too.

    Raises:
        ConfigError: a trunk has fewer parts.
    """
    frozen: list[nn.Module] = []
    for trunk in trunks(encoder) if first else ():
        count = len(learning_parts(trunk))
        if first != "trunk" and int(first) > count:
            raise ConfigError(f"encoder.freeze={first}: the trunk has {count} parts; use at most {count}")
        last = count + 1 if first == "trunk" else int(first)
        for weight, layer in layers(trunk).items():
            weight.requires_grad_(layer > last)
        frozen += [module for module in trunk.modules() if is_frozen(module)]
    return frozen


def is_frozen(module: nn.Module) -> bool:
    """Whether a module has weights, and all take no gradients.

    Args:
        module: of any kind.
    """
    weights = list(module.parameters())
    return bool(weights) and not any(weight.requires_grad for weight in weights)


def trunks(network: nn.Module) -> Iterator[TrunkModule]:
    """The networks over one stream each."""
    return (module for module in network.modules() if isinstance(module, TrunkModule))


def learning_parts(trunk: TrunkModule) -> list[nn.Module]:
    """The parts of a trunk that have weights."""
    return [part for part in trunk.parts() if next(part.parameters(), None) is not None]


def layers(trunk: TrunkModule) -> dict[Parameter, int]:
    """The layer of each weight: i for the i-th part, 0 before the first, one more than parts after the last.

    Weights between two parts are of the layer of the part before them. Before and after are those of the
    order in which the network lists its weights.
    """
    parts = learning_parts(trunk)
    own = {weight: number for number, part in enumerate(parts, 1) for weight in part.parameters()}
    found: dict[Parameter, int] = {}
    layer = 0
    for weight in trunk.parameters():
        layer = own.get(weight, layer if layer < len(parts) else len(parts) + 1)
        found[weight] = layer
    return found
