"""The site builds without a warning, has every public name and setting, and needs nothing from elsewhere."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

import sora_video

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def test_every_public_name_is_in_the_reference():
    text = (REFERENCE / "python.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^::: sora_video\.(\w+)$", text, re.MULTILINE)) == sora_video.__all__


def test_nothing_is_fetched_by_the_theme():
    theme = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["theme"]
    assert theme["font"] is False


class Loaded(HTMLParser):
    """Addresses that a page loads by itself."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        if tag in ("script", "img", "iframe", "source", "video"):
            self.addresses.append(named.get("src") or "")
        if tag == "link" and named.get("rel") != "canonical":
            self.addresses.append(named.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as `make docs` builds it."""
    if not find_spec("mkdocs"):
        pytest.skip("mkdocs is absent; `make setup-docs` installs it")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_site_is_whole_and_loads_nothing_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 45
    for page in pages:
        loaded = Loaded()
        loaded.feed(page.read_text(encoding="utf-8"))
        assert [address for address in loaded.addresses if re.match(r"(\w+:)?//", address)] == []
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(\w+:)?//", style.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_site_has_names_settings_commands_and_figures(site):
    def text(page):
        return (site / page / "index.html").read_text(encoding="utf-8")

    for name in sora_video.__all__:
        assert f'id="sora_video.{name}"' in text("reference/python")
    assert "<code>slice.frames</code>" in text("reference/settings")
    assert "<code>method.momentum</code>" in text("reference/settings")
    assert 'id="sora-index-build"' in text("reference/commands")
    assert 'href="../results/moments/"' in text("search")
    assert not re.search(r":(func|class|meth|mod|data|attr):", text("reference/python"))
    assert "pretrain_encoder" in (site / "search" / "search_index.json").read_text(encoding="utf-8")
