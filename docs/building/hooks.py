"""What mkdocs does beside rendering pages: files of other folders join the site, with their links."""

import os
import re
import sys
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT)]

from commands import commands_page  # noqa: E402
from settings import settings_page  # noqa: E402

LINK = re.compile(r"(\]\()([^)#\s]+)")
JOINING = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security.md"}
"""Files of the project's root, with their names in the site."""


def joining() -> dict[str, str]:
    """Files outside of ``docs/`` that are pages of the site: paths from the root, with those in the site."""
    results = sorted((ROOT / "benchmarks" / "results").glob("*.md"))
    return JOINING | {path.relative_to(ROOT).as_posix(): f"results/{path.name}" for path in results}


def on_config(config: Any) -> Any:
    """Add the measurements to the navigation.

    Args:
        config: mkdocs' settings.

    Returns:
        The settings.
    """
    results = [page for page in joining().values() if page.startswith("results/")]
    config.nav.insert(-1, {"Measurements": results})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that lie elsewhere, and those of all commands and settings.

    Args:
        files: those of ``docs/``.
        config: mkdocs' settings.

    Returns:
        All files of the site.
    """
    for origin, page in joining().items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / origin)))
    files.append(File.generated(config, "reference/commands.md", content=commands_page()))
    files.append(File.generated(config, "reference/settings.md", content=settings_page()))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Let links lead to where the files lie in the site.

    Args:
        markdown: text of a page.
        page: the page.

    Returns:
        The text with its links changed.
    """
    pages = joining()
    origins = {name: origin for origin, name in pages.items()}
    here = page.file.src_uri
    folder = PurePosixPath(origins.get(here, f"docs/{here}")).parent

    def follow(link: re.Match[str]) -> str:
        if ":" in link[2]:
            return link[0]
        target = os.path.normpath(folder / link[2])
        target = pages.get(target, target.removeprefix("docs/"))
        return link[1] + os.path.relpath(target, PurePosixPath(here).parent)

    return LINK.sub(follow, markdown)
