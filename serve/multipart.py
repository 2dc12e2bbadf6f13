"""Forms with files, as clients send them."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Multipart"]

BLOCK = 1 << 20


class Multipart:
    """A form with files, which are read while they are sent.

    Args:
        fields: values by name; lists are sent as several of them, None is left out.
        files: to send under the name ``file``.
    """

    def __init__(self, fields: Mapping[str, Any], files: Sequence[Path]) -> None:
        self.boundary = boundary = secrets.token_hex(16)
        self.parts: list[bytes | Path] = []
        for name, value in fields.items():
            for each in value if isinstance(value, list) else [value]:
                if each is not None:
                    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
                    text = str(each).lower() if isinstance(each, bool) else str(each)
                    self.parts.append(f"{head}{text}\r\n".encode())
        for path in files:
            name = path.name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
            self.parts += [head.encode(errors="replace"), path, b"\r\n"]
        self.parts.append(f"--{boundary}--\r\n".encode())

    @property
    def headers(self) -> dict[str, str]:
        """Of a request that sends it."""
        return {
            "Content-Type": f"multipart/form-data; boundary={self.boundary}",
            "Content-Length": str(self.size),
        }

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(len(part) if isinstance(part, bytes) else part.stat().st_size for part in self.parts)

    def __iter__(self) -> Iterator[bytes]:
        for part in self.parts:
            if isinstance(part, bytes):
                yield part
                continue
            with part.open("rb") as file:
                while block := file.read(BLOCK):
                    yield block
