"""The connection to a Milvus server: its client's calls, with errors in one line."""

import logging
import time
from collections.abc import Iterator
from typing import Any

from sora_video.base.errors import ConfigError, LibraryError

from .address import TOKEN, TOKEN_FILE, Address, read_token

__all__ = ["ROW_BYTES", "AwayError", "Connection"]

WAITS_S = (0.2, 0.5, 1.0, 2.0)
"""Before a call is sent again where the server cannot be reached; all calls may be sent twice."""
RETRIES = 6
"""Times that the client itself sends a call again, as where a server asks for fewer of them."""
AWAY = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED")
REFUSED = ("UNAUTHENTICATED", "PERMISSION_DENIED")
REFUSING = ("auth check", "unauthenticated", "permission den")
"""Words of servers that do not let one in."""
CONNECT_S = 10
PAGE_BYTES = 1 << 24
MOST_PAGE = 8192
ROW_BYTES = 2048
"""About the size of a row without its vector."""


class AwayError(LibraryError):
    """The server cannot be reached."""


class Connection:
    """Calls of the client of one server.

    Args:
        address: of a library there.

    Raises:
        ConfigError: the client is not installed, or the credentials cannot be read.
        LibraryError: the server cannot be reached, or does not let us in.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._token = read_token()
        try:
            from pymilvus import MilvusClient
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"{address}: needs the client of Milvus; pip install 'sora-video[milvus]'"
            ) from error
        logging.getLogger("pymilvus").setLevel(
            logging.CRITICAL + 1
        )  # it logs tracebacks of what is told below
        try:
            self._client = MilvusClient(address.server, token=self._token, timeout=CONNECT_S)
        except Exception as error:
            raise self._told(error) from None

    def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of the client.

        Args:
            name: of the method.
            arguments: of the call.
            options: of the call.

        Raises:
            LibraryError: the server is away, or refused it.
        """
        for wait_s in (*WAITS_S, None):
            try:
                return getattr(self._client, name)(*arguments, retry_times=RETRIES, **options)
            except Exception as error:
                told = self._told(error)
                if wait_s is None or not isinstance(told, AwayError):
                    raise told from None
            time.sleep(wait_s)
        return None

    def rows(
        self, collection: str, expression: str, fields: list[str], row_bytes: int = ROW_BYTES
    ) -> Iterator[dict[str, Any]]:
        """The rows of a collection, by rising primary key, page by page.

        Args:
            collection: its name.
            expression: which rows.
            fields: to read.
            row_bytes: about the size of a row.

        Raises:
            LibraryError: the server is away, or refused it.
        """
        size = min(MOST_PAGE, max(1, PAGE_BYTES // row_bytes))
        pages = self.call(
            "query_iterator", collection, filter=expression, output_fields=fields, batch_size=size
        )
        try:
            while page := pages.next():
                yield from page
        except Exception as error:
            raise self._told(error) from None
        finally:
            pages.close()

    def count(self, collection: str, expression: str) -> int:
        """The number of rows of a collection.

        Args:
            collection: its name.
            expression: which rows.

        Raises:
            LibraryError: the server is away, or refused it.
        """
        answer = self.call(
            "query",
            collection,
            filter=expression,
            output_fields=["count(*)"],
            consistency_level="Strong",
        )
        return int(answer[0]["count(*)"])

    def _told(self, error: Exception) -> Exception:
        """An error of the client as one of ours, in one line without credentials; others as they are."""
        import grpc
        from pymilvus.exceptions import MilvusException

        if not isinstance(error, MilvusException | grpc.RpcError):
            return error
        code = error.code() if isinstance(error, grpc.Call) else getattr(error, "code", None)
        name = code.name if isinstance(code, grpc.StatusCode) else str(code)
        text = getattr(error, "message", "") or str(error)
        lines = (text.replace(self._token, "***") if self._token else text).split("\n")
        reason = lines[0].strip()
        if name in REFUSED or any(word in text.lower() for word in REFUSING):
            return LibraryError(
                f"{self.address}: the server does not let us in; set {TOKEN}, or {TOKEN_FILE} to the name of "
                "a file with it"
            )
        if name in AWAY or "unavailable" in text.lower():
            return AwayError(
                f"{self.address}: the server cannot be reached, or went away; what was committed is there: "
                "see that it runs, and repeat the command"
            )
        return LibraryError(f"{self.address}: the server refused: {reason}; see its own log")
