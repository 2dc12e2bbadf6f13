"""Requests of a client, and answers."""

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from sora_video.base.errors import ConfigError, SoraError

__all__ = ["Connection"]


class Connection:
    """Sends requests to a server, one by one.

    Args:
        url: see :class:`.client.Client`.
        token: see there.
        timeout_s: see there.

    Raises:
        ConfigError: the address is none of http or https.
    """

    def __init__(self, url: str, token: str | None, timeout_s: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
            raise ConfigError(f"url={url}: must be the address of a server, such as http://127.0.0.1:8000")
        self.url, self.timeout_s = url, timeout_s
        self.kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self.host, self.port = parts.hostname, parts.port
        self.known = {} if token is None else {"Authorization": f"Bearer {token}"}

    def ask(self, method: str, path: str, value: Any = None) -> Any:
        """Send JSON, and take JSON.

        Args:
            method: such as ``"GET"``.
            path: with its query.
            value: to send; None: nothing is sent.

        Raises:
            SoraError: the server refused the request, or cannot be reached.
        """
        if value is None:
            return self.send(method, path, None, {})
        return self.send(method, path, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def send(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Any:
        """Send bytes, and take JSON.

        Args:
            method: see :meth:`ask`.
            path: see there.
            body: bytes, or an iterator over them; None: nothing is sent.
            headers: of the request.

        Raises:
            SoraError: the server refused the request, or cannot be reached.
        """
        connection = self.kind(self.host, self.port, timeout=self.timeout_s)
        try:
            connection.request(method, path, body, {**headers, **self.known})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise SoraError(
                f"{self.url}: cannot be reached: {error}; check that `sora serve` runs"
            ) from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise SoraError(f"{self.url}: {problem_in(content, answer.status)}")
        return json.loads(content) if content else None


def problem_in(content: bytes, status: int) -> str:
    """What the server said of a request that it refused."""
    try:
        return str(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError):
        return f"answered {status}"
