"""Tokens of programs, and sessions of browsers that showed the token once."""

import hashlib
import hmac
import secrets
import time

from starlette.requests import Request
from starlette.responses import Response

from .ended import Ended

__all__ = ["Sessions"]

COOKIE = "sora_session"
DAYS = 30
NAME_BYTES = 12


class Sessions:
    """Knows who has shown the token.

    A session is a name that is drawn, when it ends, and a signature of both.

    Args:
        token: that clients must know.
        key: by which sessions are signed; they end when the token is another one.
        ended: sessions that were ended before their time.
    """

    def __init__(self, token: str, key: str, ended: Ended) -> None:
        self.token, self.key, self.ended = token.encode(), f"{key}\n{token}".encode(), ended

    def knows(self, request: Request) -> bool:
        """Whether a request comes from one who has shown the token."""
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.is_token(given.strip()):
            return True
        return self.of(request) is not None

    def is_token(self, given: str) -> bool:
        """Whether a text is the token; takes as long whatever it is.

        Args:
            given: a text.
        """
        return hmac.compare_digest(given.encode(errors="surrogatepass"), self.token)

    def of(self, request: Request) -> tuple[str, int] | None:
        """The session of a request's cookie, its name and when it ends; None: it is none, or has ended."""
        told, _, signature = request.cookies.get(COOKIE, "").rpartition(".")
        is_signed = hmac.compare_digest(signature.encode(errors="surrogatepass"), self.sign(told).encode())
        name, _, end = told.partition(".")
        if not is_signed or not end.isdecimal() or int(end) <= time.time() or name in self.ended:
            return None
        return name, int(end)

    def sign(self, told: str) -> str:
        """The signature of what a cookie says."""
        return hmac.digest(self.key, told.encode(errors="surrogatepass"), hashlib.sha256).hex()

    def begin(self, request: Request, answer: Response) -> None:
        """Let a browser in from now on.

        Args:
            request: that showed the token.
            answer: sets the cookie, which scripts cannot read and other sites cannot send.
        """
        told = f"{secrets.token_urlsafe(NAME_BYTES)}.{int(time.time()) + DAYS * 24 * 3600}"
        answer.set_cookie(
            COOKIE,
            f"{told}.{self.sign(told)}",
            max_age=DAYS * 24 * 3600,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )

    def end(self, request: Request, answer: Response) -> None:
        """Let a browser in no more, nor anyone who has a copy of its cookie.

        Args:
            request: with the cookie.
            answer: takes it away.

        Raises:
            StorageError: the disk refused to note it.
        """
        session = self.of(request)
        if session is not None:
            self.ended.add(*session)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
