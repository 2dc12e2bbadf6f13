"""Pictures of a server's page, and how far two of them differ."""

import base64
import io
from functools import reduce
from itertools import product
from pathlib import Path
from typing import Any, Literal

import matplotlib
from PIL import Image, ImageChops, ImageFilter

from tests.browser import PAPER, Scheme
from tests.serve.visit import Visit

__all__ = ["LIMIT", "SIZES", "Look", "difference", "greatest", "shrink"]

Size = Literal["wide", "narrow", "paper"]
SIZES: dict[Size, tuple[int, int]] = {"wide": (1400, 1200), "narrow": (360, 1600), "paper": (PAPER, 1000)}
"""Pixels of a desk's window, a telephone's and a sheet of paper."""
FONTS = {"400": "DejaVuSans.ttf", "600 700": "DejaVuSans-Bold.ttf"}
"""Files by weight, of a font that matplotlib brings."""
FIXED = """
body, code { font-family: pictured !important; }
video::-webkit-media-controls { display: none !important; }
"""
"""What would be another one with each machine and browser: fonts, and the controls of a film."""
ADD_FONTS = """(fonts) => {
  for (const [weight, content] of fonts) {
    const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
    document.fonts.add(new FontFace("pictured", bytes, { weight }));
  }
}"""
ADD_STYLE = """(css) => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  document.adoptedStyleSheets = [sheet];
}"""
"""Style of a page whose policy allows no other style than its own file."""
FIXED_DATES = "Date.prototype.toLocaleString = () => '1/31/2026, 8:15:00 AM';"
LOADED = """() => [...document.images].every((image) => {
  const { top, bottom } = image.getBoundingClientRect();
  return top > innerHeight || bottom < 0 || (image.complete && image.naturalWidth > 0);
})"""
DRAWN = """async () => {
  await document.fonts.ready;
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""
SHRINK = 4
"""Pixels of the page, along each side, of one of a small picture."""
ASIDE = tuple(product((-1, 0, 1), repeat=2))
"""How far all may lie aside, in pixels of the page: browsers differ in the sizes of controls."""
BLUR, AROUND = 2, 1
"""Pixels of a small picture over which letters become grey, and over which differences are averaged."""
LIMIT = 14
"""Greatest difference of pictures that look the same, of 255.

Letters that are set otherwise, and what JPEG loses, make 6 to 8; the least of the defects that the tests
make is 23.
"""


class Look(Visit):
    """A page that looks the same on every machine, but for how its letters are drawn."""

    def __init__(self, browser: Any, address: str) -> None:
        super().__init__(browser, address)
        self.page.add_init_script(FIXED_DATES)
        self.fonts = [(weight, read_font(name)) for weight, name in FONTS.items()]

    def show(self, state: str, ready: str, size: Size, scheme: Scheme) -> None:
        """Open a state, and wait until it is drawn, with an element that comes last."""
        width, height = SIZES[size]
        self.page.set_viewport_size({"width": width, "height": height})
        media = "print" if size == "paper" else "screen"
        self.page.emulate_media(media=media, color_scheme=scheme, reduced_motion="reduce")
        self.open(state)
        self.page.evaluate(ADD_FONTS, self.fonts)
        self.restyle("")
        self.page.wait_for_selector(ready, state="attached")
        self.page.wait_for_function(LOADED)

    def restyle(self, css: str) -> None:
        """Add rules to the page's style, instead of those that were added before."""
        self.page.evaluate(ADD_STYLE, FIXED + css)

    def picture(self) -> Image.Image:
        """The window as it is now."""
        self.page.evaluate(DRAWN)
        pixels = self.page.screenshot(animations="disabled", caret="hide", scale="css")
        return Image.open(io.BytesIO(pixels)).convert("RGB")


def read_font(name: str) -> str:
    """A font's file as base64."""
    return base64.b64encode((Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name).read_bytes()).decode()


def shrink(picture: Image.Image) -> Image.Image:
    """A picture as it is stored."""
    return picture.reduce(SHRINK)


def difference(shown: Image.Image, wanted: Image.Image) -> Image.Image:
    """How far a picture of the page differs from a small one around each place."""
    smooth = wanted.filter(ImageFilter.GaussianBlur(BLUR))
    moved = (
        shrink(ImageChops.offset(shown, *aside)).filter(ImageFilter.GaussianBlur(BLUR)) for aside in ASIDE
    )
    differences = (ImageChops.difference(each, smooth).filter(ImageFilter.BoxBlur(AROUND)) for each in moved)
    return reduce(ImageChops.darker, differences)


def greatest(differences: Image.Image) -> int:
    """Where pictures differ most: how far, of 255."""
    return max(high for _, high in differences.getextrema())
