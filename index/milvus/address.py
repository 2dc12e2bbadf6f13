"""Addresses of libraries in Milvus, and what is shown to its server to be let in.

``milvus://HOST:PORT/COLLECTION`` is spoken in plain, ``milvus+https://HOST:PORT/COLLECTION`` over TLS.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from sora_video.base.errors import ConfigError, LibraryError

__all__ = ["TOKEN", "TOKEN_FILE", "Address", "folder_of", "is_address", "parse_address", "read_token"]

TOKEN = "SORA_MILVUS_TOKEN"
TOKEN_FILE = "SORA_MILVUS_TOKEN_FILE"
PORT = 19530
SCHEMES = {"milvus": "http", "milvus+https": "https"}
SCHEME = re.compile(r"milvus(\+https)?:/")
"""One slash: a path that was made of an address has no more."""
FORM = re.compile(
    r"(?P<scheme>milvus(?:\+https)?)://(?P<host>[\w.-]+|\[[\da-fA-F:]+\])(?::(?P<port>\d{1,5}))?"
    r"/(?P<collection>[A-Za-z_]\w{0,199})",
    re.ASCII,
)


@dataclass(frozen=True)
class Address:
    """Where a library is in Milvus."""

    scheme: str
    host: str
    port: int
    collection: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}/{self.collection}"

    @property
    def server(self) -> str:
        """What the client connects to."""
        return f"{SCHEMES[self.scheme]}://{self.host}:{self.port}"


def is_address(text: str | Path) -> bool:
    """Whether a text names a library in Milvus, and no folder.

    Args:
        text: a path or an address.
    """
    return SCHEME.match(str(text)) is not None


def folder_of(path: str | Path) -> Path:
    """The folder of a library, where no address will do.

    Args:
        path: the folder; ``~`` is left as it is.

    Raises:
        LibraryError: it is an address.
    """
    if is_address(path):
        raise LibraryError(
            f"library {re.sub(':/+', '://', str(path), count=1)}: is in Milvus, where it is searched, and "
            "changed by `sora index push` alone; name a folder, as `sora index pull` makes one"
        )
    return Path(path)


def parse_address(text: str) -> Address:
    """Read an address.

    Args:
        text: the address.

    Raises:
        ConfigError: it has another form; credentials in it are not repeated.
    """
    if "@" in text:
        raise ConfigError(
            f"address milvus://...@{text.rsplit('@', 1)[1]}: has credentials, which other users of this "
            f"machine can see; leave them out, and set {TOKEN} or {TOKEN_FILE}"
        )
    parts = FORM.fullmatch(text)
    if not parts or not 0 < int(parts["port"] or PORT) < 1 << 16:
        raise ConfigError(
            f"address {text}: does not have the form milvus://HOST:PORT/COLLECTION, with a name of letters, "
            "digits and _; write for instance milvus://localhost:19530/films"
        )
    return Address(parts["scheme"], parts["host"], int(parts["port"] or PORT), parts["collection"])


def read_token() -> str:
    """What lets one into the server, ``USER:PASSWORD`` or an API key; empty where none is set.

    Raises:
        ConfigError: the file cannot be read, or both variables are set.
    """
    token, file = os.environ.get(TOKEN, ""), os.environ.get(TOKEN_FILE, "")
    if token and file:
        raise ConfigError(f"{TOKEN} and {TOKEN_FILE}: are both set; unset one of them")
    if not file:
        return token
    try:
        return Path(file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "is not text"
        raise ConfigError(f"{TOKEN_FILE}={file}: cannot be read: {reason}; name a file of one line") from None
