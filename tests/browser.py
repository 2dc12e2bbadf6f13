"""Pages as people meet them: in a browser, wide and narrow, light and dark, printed, by keyboard."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDTHS = 360, 800, 1400
"""Pixels of a telephone, a tablet and a desk."""
PAPER = 718
"""Pixels between the margins of A4."""
Scheme = Literal["light", "dark"]

CUT = """() => {
  const cut = [];
  for (const box of document.querySelectorAll("main *:not(svg *)")) {
    const style = getComputedStyle(box), hidden = style.overflowX === "hidden" || style.overflowX === "clip";
    if (style.textOverflow === "ellipsis" || box.closest("button")) continue;
    if (box.clientWidth && box.scrollWidth > box.clientWidth + 1 && (hidden || matchMedia("print").matches))
      cut.push(box.outerHTML.slice(0, 80));
  }
  return cut;
}"""
"""What is cut off: hidden beyond the edge of its box, or on paper, where nothing scrolls."""
LABELS = """() => {
  const wrong = [];
  for (const svg of document.querySelectorAll("svg")) {
    const frame = svg.getBoundingClientRect(), level = [];
    for (const text of svg.querySelectorAll("text")) {
      const box = text.getBoundingClientRect();
      if (box.left < frame.left - 1 || box.right > frame.right + 1 ||
          box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
        wrong.push("outside: " + text.textContent);
      if (/rotate\\(-?0[ )]/.test(text.getAttribute("transform") || "rotate(0)")) level.push([text, box]);
    }
    level.forEach(([text, box], number) => {
      for (const [other, there] of level.slice(number + 1))
        if (Math.min(box.right, there.right) - Math.max(box.left, there.left) > 1 &&
            Math.min(box.bottom, there.bottom) - Math.max(box.top, there.top) > box.height / 3)
          wrong.push("over each other: " + text.textContent + " | " + other.textContent);
    });
  }
  return wrong;
}"""
"""Labels of pictures that lie outside of them, or over each other."""
LIGHT = """
const light = (colour) => {
  const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
};
"""
"""Relative luminance of a colour."""
FAINT = f"""() => {{
  {LIGHT}
  const faint = [];
  for (const text of document.querySelectorAll("svg text")) {{
    const card = light(getComputedStyle(text.closest(".card")).backgroundColor);
    const ink = light(getComputedStyle(text).fill);
    if ((Math.max(card, ink) + 0.05) / (Math.min(card, ink) + 0.05) < 4.5) faint.push(text.textContent);
  }}
  return faint;
}}"""
"""Labels of pictures that do not stand out from their card, of which axe knows nothing."""
BRIGHTNESS = f"""() => {{
  {LIGHT}
  const style = getComputedStyle(document.body);
  return [light(style.backgroundColor), light(style.color)];
}}"""
ONLY = {"resultTypes": ["violations"]}
REACH = """() => [...document.querySelectorAll("a[href], button, summary, input, select, video, [tabindex]")]
  .filter((element) => element.tabIndex >= 0 && element.checkVisibility())
  .map((element, number) => (element.dataset.number = number))"""
"""Number all that is shown to act on; of what the arrow keys walk through, one has a turn."""
FOCUS = """() => {
  const style = getComputedStyle(document.activeElement);
  return [document.activeElement.dataset.number, style.outlineStyle !== "none"];
}"""


class Shown:
    """A page in a browser, and what went wrong with it."""

    def __init__(self, browser: Any, path: Path, scheme: Scheme) -> None:
        self.page = browser.new_page(color_scheme=scheme)
        self.errors: list[str] = []
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self.asked)
        self.page.goto(path.as_uri())

    def __enter__(self) -> "Shown":
        return self

    def __exit__(self, *_: object) -> None:
        self.page.close()

    def asked(self, request: Any) -> None:
        """Note what the page asks for besides itself."""
        if not request.url.startswith(("data:", "blob:")) and not request.is_navigation_request():
            self.errors.append(f"asks for {request.url}")

    def faults(self, width: int, media: Literal["screen", "print"] = "screen") -> list[str]:
        """All that is wrong with how it is shown; nothing for a good page."""
        from axe_playwright_python.sync_playwright import Axe

        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.emulate_media(media=media)
        found = Axe().run(self.page, {"exclude": [["svg *"]]}, ONLY).response["violations"]
        rules = [f"{rule['id']}: {node['html'][:120]}" for rule in found for node in rule["nodes"]]
        wide = self.page.evaluate("document.documentElement.scrollWidth > innerWidth")
        return [
            *self.errors,
            *rules,
            *(["wider than the window"] if wide else []),
            *(f"cut: {box}" for box in self.page.evaluate(CUT)),
            *self.page.evaluate(LABELS),
            *(f"faint: {text}" for text in self.page.evaluate(FAINT)),
        ]

    def unreached(self) -> list[int]:
        """Those things to act on that the key Tab does not come to, or whose focus is not seen."""
        left = set(map(str, self.page.evaluate(REACH)))
        for _ in range(2 * len(left)):  # boxes that scroll have a turn too
            if not left:
                break
            self.page.keyboard.press("Tab")
            number, seen = self.page.evaluate(FOCUS)
            if seen:
                left.discard(str(number))
        return sorted(map(int, left))

    def brightness(self) -> tuple[float, float]:
        """Of the ground and of the text, 0 to 1."""
        ground, text = self.page.evaluate(BRIGHTNESS)
        return ground, text


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is absent")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()
