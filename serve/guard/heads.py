"""Connections whose requests begin in time: who opens many and says nothing keeps nobody else out."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["HeadProtocol", "within"]


class HeadProtocol(H11Protocol):
    """HTTP of one connection, which is closed where the head of its next request takes too long."""

    head_s = 20.0
    """Seconds from the connection, or from the last answer, to the end of a request's head."""
    head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self.await_head()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self.await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        if self.head_timer is not None:
            self.head_timer.cancel()

    def await_head(self) -> None:
        """Begin to wait anew."""
        if self.head_timer is not None:
            self.head_timer.cancel()
        self.head_timer = self.loop.call_later(self.head_s, self.close_idle)

    def close_idle(self) -> None:
        """Close the connection unless a request is being answered."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def within(seconds: float) -> type[HeadProtocol]:
    """The protocol with another limit.

    Args:
        seconds: see :attr:`HeadProtocol.head_s`.
    """
    return type("HeadProtocol", (HeadProtocol,), {"head_s": seconds})
