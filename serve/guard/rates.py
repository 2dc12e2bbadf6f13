"""How often an address may ask."""

import time
from collections import OrderedDict

__all__ = ["Rates"]

MOST_ADDRESSES = 10_000


class Rates:
    """A bucket of requests for each address, which fills again as time goes by.

    Args:
        rate: requests a second; 0: any number.
        burst: requests at once.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst = rate, burst
        self.left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str, now: float | None = None) -> bool:
        """Take one request out of a bucket.

        Args:
            address: of the client.
            now: seconds of a clock that does not go back; None: as it is.

        Returns:
            Whether there was one.
        """
        if self.rate <= 0:
            return True
        now = time.monotonic() if now is None else now
        left, seen = self.left.pop(address, (self.burst, now))
        left = min(self.burst, left + (now - seen) * self.rate)
        self.left[address] = (left - 1 if left >= 1 else left, now)
        if len(self.left) > MOST_ADDRESSES:
            self.left.popitem(last=False)
        return left >= 1
