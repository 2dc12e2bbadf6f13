"""The page of a server in a real browser."""

from typing import Any

from tests.browser import Scheme, Shown

__all__ = ["Visit"]

MOVED = "video => video.currentTime > Number(/#t=([\\d.]+)/.exec(video.src)[1]) + 0.2"
"""Whether a video shows more than the first pictures of its span."""


class Visit(Shown):
    """A page of a server, and what went wrong with it; nothing may come from elsewhere."""

    def __init__(self, browser: Any, address: str, state: str = "", scheme: Scheme = "light") -> None:
        self.address, self.errors = address, list[str]()
        self.page = browser.new_page(color_scheme=scheme)
        self.page.set_default_timeout(120_000)
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self.asked)
        self.open(state)

    def open(self, state: str) -> None:
        """Go to a state of the page."""
        self.page.goto(f"{self.address}/?{state}")
        self.page.wait_for_selector("#view > *, #problem:not([hidden])")

    def asked(self, request: Any) -> None:
        """Note what the page asks for of another address."""
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.errors.append(f"asks for {request.url}")

    def said(self, part: str) -> str:
        """What the page says of its state, once that has a part."""
        self.page.wait_for_function(
            "part => document.getElementById('status').innerText.includes(part)", arg=part
        )
        return str(self.page.inner_text("#status"))

    def names(self, items: str = ".hit .name") -> list[str]:
        """Names of videos as they are listed."""
        return [text.split(". ", 1)[-1] for text in self.page.locator(items).all_inner_texts()]

    def unreached(self) -> list[int]:
        """See :meth:`Shown.unreached`; what is folded up is unfolded first."""
        self.page.eval_on_selector_all("details", "all => all.forEach((each) => (each.open = true))")
        return super().unreached()

    def wait_until_moved(self, video: str) -> None:
        """Wait until a video plays on."""
        handle = self.page.wait_for_selector(video, state="attached")
        self.page.wait_for_function(MOVED, arg=handle)

    def tab_to(self, target: str) -> None:
        """Press Tab until an element has the focus."""
        for _ in range(200):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("target => document.activeElement.matches(target)", target):
                return
        raise AssertionError(f"Tab does not come to {target}")
