"""The examples of docs/extending.md, run as another package brings them and as the registries' lines say."""

import configparser
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder with the documented files, and the metadata and entry points of an installed package."""
    folder = tmp_path_factory.mktemp("package")
    for _, code in BLOCKS:
        if named := re.match(r"# file: (\w+\.py)\n", code):
            (folder / named[1]).write_text(code, encoding="utf-8")
    metadata = folder / "penguins-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: penguins\nVersion: 1.0\n")
    toml = next(code for language, code in BLOCKS if language == "toml")
    points = re.sub(r'\[project\.entry-points\."([\w.]+)"\]', r"[\1]", toml).replace('"', "")
    (metadata / "entry_points.txt").write_text(points)
    return folder


def sora(package, *arguments):
    """What the command prints with the package installed."""
    done = subprocess.run(
        [sys.executable, "-m", "sora_video", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{package}"},
    )
    return done.returncode, done.stdout + done.stderr


def test_an_encoder_and_a_method_are_trained(package, videos, tmp_path):
    small = ["slice.frames=4", "slice.size=32", "augment.size=32", "optim.epochs=1", "optim.batch_size=4"]
    settings = ["encoder.name=mean_colour", "encoder.cells=3", "method.name=decoupled", "method.pull=2"]
    code, said = sora(
        package, "pretrain", videos, "--out", tmp_path / "run", *small, *settings, "data.workers=0"
    )
    assert code == 0, said
    stored = (tmp_path / "run" / "config.yaml").read_text()
    assert "cells: 3" in stored
    assert "pull: 2.0" in stored
    code, said = sora(package, "embed", videos, "--model", tmp_path / "run", "--out", tmp_path / "e.parquet")
    assert code == 0, said


def test_a_setting_that_the_encoder_lacks_is_refused(package, videos, tmp_path):
    code, said = sora(
        package, "pretrain", videos, "--out", tmp_path / "run", "encoder.name=mean_colour", "encoder.width=8"
    )
    assert code == 2
    assert "encoder.width=8: mean_colour has no such setting; its settings are encoder.input, " in said
    assert "encoder.cells" in said


def test_a_data_set_is_listed_and_read(package, videos, tmp_path):
    code, listed = sora(package, "datasets", "--json")
    assert code == 0, listed
    assert "Penguins" in {row["data set"] for row in json.loads(listed)}
    folder = tmp_path / "set"
    folder.mkdir()
    clip = next(path for path in Path(videos).rglob("*") if path.is_file()).read_bytes()
    names = [("north_1", "adelie", "train"), ("north_2", "gentoo", "train"), ("south_1", "adelie", "test")]
    for name, *_ in names:
        (folder / f"{name}.mp4").write_bytes(clip)
    (folder / "clips.txt").write_text("".join(" ".join(row) + "\n" for row in names))
    code, said = sora(package, "datasets", "penguins", folder, "--out", tmp_path / "penguins.csv")
    assert code == 0, said
    assert "north_1.mp4,adelie,north,train" in (tmp_path / "penguins.csv").read_text().replace(
        f"{folder}/", ""
    )


def test_the_documented_lines_name_the_documented_files():
    files = {
        name.removesuffix(".py"): code for _, code in BLOCKS for name in re.findall(r"^# file: (.*)", code)
    }
    lines = re.findall(r'"(\w+)": "sora_video\.([\w.]+)\.(\w+):(\w+)",', TEXT)
    assert {module for _, _, module, _ in lines} == set(files)
    for name, room, module, attribute in lines:
        assert re.search(rf"^(class {attribute}\b|{attribute} = )", files[module], re.MULTILINE)
        assert f"`{room.replace('.', '/')}/{module}.py`" in TEXT
        assert f'{name} = "{module}:{attribute}"' in TEXT


def test_the_entry_points_are_those_that_the_registries_read():
    from sora_video.configs.parts import ENCODERS, METHODS
    from sora_video.downstream.datasets.registry import DATASETS

    parser = configparser.ConfigParser()
    parser.read_string(next(code for language, code in BLOCKS if language == "toml"))
    groups = {section.split('"')[1] for section in parser.sections()}
    assert groups == {registry.group for registry in (ENCODERS, METHODS, DATASETS)}
