"""The examples of docs/extending.md, run as another package brings them and as the registries' lines say."""

import configparser
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.code import files_to_add
from sora_video.cli.main import COMMANDS
from sora_video.configs.parts import ENCODERS, METHODS, TOWERS
from sora_video.configs.tasks import TASKS
from sora_video.downstream.classify.parts import HEADS, POOLS
from sora_video.downstream.datasets.registry import DATASETS
from sora_video.index.library import Library
from sora_video.index.store.kinds import INDEXES
from sora_video.pretrain.encoders.embeddings import Embeddings, read_embeddings
from sora_video.pretrain.encoders.engines.engine import ENGINES
from sora_video.pretrain.encoders.load import load_encoder

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)
TOML = next(code for language, code in BLOCKS if language == "toml")
SMALL = ("slice.frames=2", "slice.size=16", "augment.size=16", "optim.epochs=1", "optim.batch_size=4")


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
    points = re.sub(r'\[project\.entry-points\."([\w.]+)"\]', r"[\1]", TOML).replace('"', "")
    (metadata / "entry_points.txt").write_text(points)
    return folder


@pytest.fixture(autouse=True)
def _installed(package, monkeypatch):
    """The package is installed while a test runs; the commands run in this process."""
    monkeypatch.syspath_prepend(package)
    yield
    for path in package.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture(scope="module")
def clips(videos, tmp_path_factory):
    """A small corpus of class folders."""
    folder = tmp_path_factory.mktemp("clips")
    for path in sorted(videos.rglob("*.mp4"))[::2]:
        (folder / path.parent.name).mkdir(exist_ok=True)
        shutil.copy(path, folder / path.parent.name)
    return folder


def test_an_encoder_a_method_a_task_and_a_head_are_trained(sora, clips, tmp_path):
    settings = ("encoder.name=mean_colour", "encoder.cells=3", "method.name=decoupled", "method.pull=2")
    settings += ("tasks.spread.weight=0.1", "tasks.spread.sharpness=3")
    run = tmp_path / "run"
    code, said = sora("pretrain", clips, "--out", run, *SMALL, *settings, "data.workers=0")
    assert code == 0, said
    stored = (run / "config.yaml").read_text()
    assert "cells: 3" in stored
    assert "pull: 2.0" in stored
    assert "sharpness: 3.0" in stored
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert all(line["spread_loss"] < 0 for line in log)

    head = tmp_path / "head"
    train = ("classify", "train", clips, "--class-folders", "--model", run, "--out", head)
    code, said = sora(*train, "--head", "low_rank", "head.rank=3")
    assert code == 0, said
    assert json.loads((head / "head.json").read_text())["settings"]["head"] == {"rank": 3}
    code, said = sora("classify", "predict", head, clips, "--json")
    assert code == 0, said
    assert len(json.loads(said)["videos"]) == 4


def test_an_engine_embeds_in_its_order(sora, clips, tiny_run, tmp_path):
    embed = ("embed", clips, "--model", tiny_run.path, "--out", tmp_path / "all.parquet")
    code, said = sora(*embed, "--engine", "largest_first")
    assert code == 0, said
    assert len(read_embeddings(tmp_path / "all.parquet").videos()) == 4
    assert "choose one of local, ray, largest_first" in sora(*embed, "--force", "--engine", "largest")[1]


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (
            ("pretrain", "encoder.name=mean_colour", "encoder.width=8"),
            "encoder.width=8: mean_colour has no such setting; its settings are encoder.input, "
            "encoder.look_every, encoder.mean, encoder.std, encoder.whiten, encoder.checkpoint, "
            "encoder.freeze, encoder.cells",
        ),
        (
            ("classify", "train", "--model", "none", "--head", "low_rank", "head.hidden=8"),
            "head.hidden=8: low_rank has no such setting; its settings are head.rank",
        ),
    ],
)
def test_a_setting_that_a_part_lacks_is_refused(sora, clips, tmp_path, command, refusal):
    verb = command[: 1 + (command[0] == "classify")]
    code, said = sora(*verb, clips, "--out", tmp_path / "out", *command[len(verb) :])
    assert code == 2
    assert refusal in said


@pytest.fixture
def library(tmp_path):
    """3,000 slices, so that the example is the smallest index that finds all that exact search finds."""
    vectors = np.random.default_rng(0).normal(size=(3000, 64)).astype(np.float32)
    times = np.arange(3000.0)
    made = Library.create(tmp_path / "library", "f" * 64, 64)
    made.add(
        Embeddings(
            video_id=np.array([f"{row // 10}.mp4" for row in range(3000)], object),
            slice_no=np.arange(3000, dtype=np.int32) % 10,
            start_s=times,
            end_s=times + 1,
            vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
            fingerprint="f" * 64,
        )
    )
    return made.path


def test_a_kind_of_index_is_tuned_and_built_again(sora, library):
    code, said = sora("index", "tune", library, "--recall", "1", "--memory", "160kB")
    assert code == 0, said
    built = json.loads((library / "manifest.json").read_text())["segments"][0]["index"]
    assert (built["kind"], built["settings"]) == ("ivf_bits", {"lists": 76, "bits": 4})
    (library / built["file"]["name"]).write_bytes(b"damaged")
    code, said = sora("index", "repair", library)
    assert code == 0, said
    assert Library.open(library).info().index_type == "ivf_bits"


def test_a_data_set_is_listed_and_read(sora, clips, tmp_path):
    code, listed = sora("datasets", "--json")
    assert code == 0, listed
    assert "Penguins" in {row["title"] for row in json.loads(listed)}
    folder = tmp_path / "set"
    folder.mkdir()
    names = [("north_1", "adelie", "train"), ("north_2", "gentoo", "train"), ("south_1", "adelie", "test")]
    for name, *_ in names:
        shutil.copy(next(clips.rglob("*.mp4")), folder / f"{name}.mp4")
    (folder / "clips.txt").write_text("".join(" ".join(row) + "\n" for row in names))
    code, said = sora("datasets", "penguins", folder, "--out", tmp_path / "penguins.csv")
    assert code == 0, said
    assert "north_1.mp4,adelie,north,train" in (tmp_path / "penguins.csv").read_text().replace(
        f"{folder}/", ""
    )


def test_a_text_tower_learns_beside_an_encoder(sora, clips, tmp_path):
    rows = [f"{path},a film of {path.stem}" for path in sorted(clips.rglob("*.mp4"))]
    (tmp_path / "films.csv").write_text("\n".join(["path,text", *rows]))
    run, settings = tmp_path / "run", ("text.column=text", "text.name=letters", "text.hidden=8")
    code, said = sora("pretrain", tmp_path / "films.csv", "--out", run, *SMALL, *settings, "data.workers=0")
    assert code == 0, said
    encoder = load_encoder(run)
    assert encoder.embed_text(["a film", "ผ้า"]).shape == (2, encoder.dim)


def test_a_command_counts_labels(sora, clips, tmp_path):
    rows = [f"{path},{path.parent.name}" for path in sorted(clips.rglob("*.mp4"))]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows]))
    code, said = sora("tally", tmp_path / "labels.csv", "--json")
    assert code == 0, said
    assert sum(row["videos"] for row in json.loads(said)) == len(rows)
    code, said = sora("--help")
    assert "Count the videos of each label." in said


def test_a_command_that_cannot_be_imported_is_one_line(package, tmp_path):
    """In a process of its own, as its entry point stays known to the one that met it."""
    broken = shutil.copytree(package, tmp_path / "broken")
    (broken / "tally.py").unlink()
    code = (
        f"import sys; sys.path.insert(0, {str(broken)!r}); sys.argv = ['sora', '--help']\n"
        "from sora_video.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.startswith("error: command='tally': tally:register cannot be imported: ")
    assert done.stderr.endswith("reinstall its package\n")


def test_the_documented_lines_name_the_documented_files():
    files = {
        name.removesuffix(".py"): code for _, code in BLOCKS for name in re.findall(r"^# file: (.*)", code)
    }
    lines = re.findall(r'"(\w+)": "sora_video\.([\w.]+)\.(\w+):(\w+)",', TEXT)
    assert {module for _, _, module, _ in lines} == set(files)
    for name, room, module, attribute in lines:
        assert re.search(
            rf"^(class {attribute}\b|def {attribute}\(|{attribute} = )", files[module], re.MULTILINE
        )
        folder = room.replace(".", "/") if (ROOT / room.split(".")[0]).is_dir() else f"sora_video/{room}"
        assert f"The file, `{folder}/{module}.py`" in TEXT
        assert f'{name} = "{module}:{attribute}"' in TOML


def test_the_entry_points_are_those_that_the_registries_read():
    parser = configparser.ConfigParser()
    parser.read_string(TOML)
    groups = {section.split('"')[1] for section in parser.sections()}
    registries = (ENCODERS, METHODS, TASKS, TOWERS, INDEXES, DATASETS, HEADS, ENGINES, COMMANDS)
    assert groups == {registry.group for registry in registries}
    assert POOLS.group not in groups


def test_two_files_are_touched_to_add_a_part():
    counts = files_to_add(ROOT)
    parts = {
        "An encoder",
        "A method or a loss",
        "A task",
        "A text tower",
        "A kind of index",
        "A data set",
        "A head",
        "An engine",
    }
    assert parts | {"A command"} <= set(counts)
    assert set(counts.values()) == {2}
