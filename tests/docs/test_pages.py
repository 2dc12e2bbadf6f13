"""README.md and docs/: every command parses, every setting and name exists, every link leads somewhere."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml

import sora_video
from sora_video.cli.main import make_app
from sora_video.configs.loader import load_config
from sora_video.configs.nested import setting_names
from sora_video.configs.parts import ENCODERS, METHODS, TOWERS, EncoderConfig, MethodConfig
from sora_video.configs.schema import PretrainConfig
from sora_video.configs.tasks import TASKS

ROOT = Path(__file__).parents[2]
ROOT_PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES = [*ROOT_PAGES, *sorted((ROOT / "docs").rglob("*.md"))]
MADE = {"reference/commands.md", "reference/settings.md", "changelog.md", "contributing.md", "security.md"}
"""Pages that are made when the site is built."""
COMMAND = re.compile(r"^(?:.*-m sora_video|sora) (.*)$", re.MULTILINE)
ADDED = ("mean_colour", "decoupled", "penguins", "low_rank", "largest_first", "tally")
"""Parts that docs/extending.md adds; tests/docs/test_extending.py runs them."""


def blocks(path, language):
    """The blocks of code of a page in one language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def commands():
    """Every command line that is shown, with its page."""
    return [
        pytest.param(line, id=f"{path.stem}: {line.split('#')[0].strip()}")
        for path in PAGES
        for line in COMMAND.findall("\n".join(blocks(path, "bash")).replace("\\\n", " "))
        if not line.startswith("--")
    ]


def mentions():
    """Every command that a sentence names, with the options that it names."""
    lines = {line for path in PAGES for line in re.findall(r"`sora ([a-z][^`]*)`", path.read_text("utf-8"))}
    return sorted(line for line in lines if not any(name in line for name in ADDED))


def parse(line):
    """Parse a command line as ``sora`` does, without running it."""
    command, words = typer.main.get_command(make_app()), shlex.split(line, comments=True)
    context = command.make_context("sora", list(words))
    while hasattr(command, "resolve_command"):
        name, command, words = command.resolve_command(context, words)
        context = command.make_context(name, list(words), parent=context)
    return context.params


def complaint(line):
    """What :func:`parse` says against a line, in short."""
    try:
        parse(line)
    except Exception as error:
        return "missing parameter" if "missing" in str(error).lower() else str(error)
    return ""


@pytest.mark.parametrize("line", commands())
def test_every_documented_command_parses(line):
    params = parse(line)
    overrides = params.get("overrides") or []
    assert all("=" in word for word in overrides)
    if line.startswith("pretrain"):
        assert load_config(params["config"], overrides)


@pytest.mark.parametrize("line", mentions())
def test_every_command_that_a_sentence_names_exists(line):
    assert complaint(line) in ("", "missing parameter")  # a sentence leaves arguments out


@pytest.mark.parametrize("line", ["idnex build", "index build my.library videos --modle run", "search"])
def test_a_command_that_is_wrong_does_not_parse(line):
    assert "No such" in complaint(line) or complaint(line) == "missing parameter"


def all_settings():
    """Dotted keys of all settings of all parts."""
    for name in ENCODERS.names():
        yield from setting_names(type(EncoderConfig.resolve({"name": name})), "encoder.")
    for name in METHODS.names():
        yield from setting_names(type(MethodConfig.resolve({"name": name})), "method.")
    for name in TOWERS.names():
        yield from setting_names(TOWERS.load(name).settings, "text.")
    for name in TASKS.names():
        yield from setting_names(TASKS.load(name).settings, f"tasks.{name}.")
    yield from setting_names(PretrainConfig)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_setting_that_is_named_exists(path):
    sections = "|".join(PretrainConfig.model_fields.keys() - {"seed"})
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(rf"`((?:{sections})\.[a-z_.]*[a-z_])[=`]", text))
    assert named <= {*all_settings(), "encoder.cells", "method.pull", "tasks.spread.weight"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_link_leads_to_a_file(path):
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8"))
    local = [path.parent / link for link in links if not link.startswith("http")]
    made = {ROOT / "docs" / page for page in MADE}
    assert [link for link in local if not link.exists() and link.resolve() not in made] == []


def nav_pages(entry):
    """All pages that a part of the navigation names."""
    if isinstance(entry, str):
        yield entry
    for inner in entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ():
        yield from nav_pages(inner)


def test_every_page_is_in_the_navigation():
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in PAGES[len(ROOT_PAGES) :]}
    assert sorted(nav_pages(nav)) == sorted(pages | MADE)


def test_names_in_the_python_example_are_public():
    (code,) = blocks(PAGES[0], "python")
    named = {
        node.attr
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "sora_video"
    }
    assert named
    assert named <= set(sora_video.__all__)


def test_the_readme_is_short():
    assert len(PAGES[0].read_text(encoding="utf-8").split()) < 1300
