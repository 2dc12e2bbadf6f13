"""Which Host headers a server answers: names that another site can point at it are refused."""

import ipaddress
from collections.abc import Collection

__all__ = ["is_trusted", "name_in"]


def name_in(host: str) -> str:
    """The name, or address, in a Host header, without its port, in small letters; empty: it is none.

    Args:
        host: as it was sent.
    """
    host = host.lower()
    if host.startswith("["):
        name, bracket, port = host[1:].partition("]")
        return name if bracket and (not port or port[1:].isdecimal()) and port[:1] in ("", ":") else ""
    name, colon, port = host.partition(":")
    return name if not colon or port.isdecimal() else ""


def is_trusted(host: str, names: Collection[str]) -> bool:
    """Whether a Host header is of this server.

    An address cannot be forged by the names of other sites, so any is taken.

    Args:
        host: as it was sent.
        names: that the server is reached by, in small letters.
    """
    name = name_in(host)
    if name in ("localhost", *names):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
