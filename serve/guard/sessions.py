"""Tokens of programs, and sessions of browsers that showed the token once."""

import hashlib
import hmac
import time

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["COOKIE", "Sessions"]

COOKIE = "sora_session"
DAYS = 30


class Sessions:
    """Knows who has shown the token.

    Args:
        token: that clients must know.
        key: by which sessions are signed; they end when the token is another one.
    """

    def __init__(self, token: str, key: str) -> None:
        self.token, self.key = token.encode(), f"{key}\n{token}".encode()

    def knows(self, request: Request) -> bool:
        """Whether a request comes from one who has shown the token."""
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.is_token(given.strip()):
            return True
        return self.is_session(request.cookies.get(COOKIE, ""))

    def is_token(self, given: str) -> bool:
        """Whether a text is the token; takes as long whatever it is.

        Args:
            given: a text.
        """
        return hmac.compare_digest(given.encode(errors="surrogatepass"), self.token)

    def is_session(self, given: str) -> bool:
        """Whether a cookie is one of :meth:`begin` that has not ended."""
        end, _, signature = given.partition(".")
        is_signed = hmac.compare_digest(signature.encode(errors="surrogatepass"), self.sign(end).encode())
        return is_signed and end.isdecimal() and time.time() < int(end)

    def sign(self, end: str) -> str:
        """The signature of the end of a session."""
        return hmac.digest(self.key, end.encode(errors="surrogatepass"), hashlib.sha256).hex()

    def begin(self, request: Request, answer: Response) -> None:
        """Let a browser in from now on.

        Args:
            request: that showed the token.
            answer: sets the cookie, which scripts cannot read and other sites cannot send.
        """
        end = str(int(time.time()) + DAYS * 24 * 3600)
        answer.set_cookie(
            COOKIE,
            f"{end}.{self.sign(end)}",
            max_age=DAYS * 24 * 3600,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
