"""Opaque ids."""

import base64
import hashlib
import hmac

__all__ = ["opaque_id"]

ID_BYTES = 15


def opaque_id(key: bytes, name: str) -> str:
    """An id that tells nothing of a name, and stays the same.

    Args:
        key: of the server.
        name: of a video or a run.
    """
    digest = hmac.digest(key, name.encode(errors="surrogatepass"), hashlib.sha256)
    return base64.urlsafe_b64encode(digest[:ID_BYTES]).decode()
