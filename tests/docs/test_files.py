"""docs/reference/files.md names every file, field and column that is written."""

import json
import re
import sqlite3
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import sora_video
from sora_video.index.build import build_library
from sora_video.index.store.manifest import SegmentRecord
from sora_video.pretrain.training.run import folder as run_folder

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "files.md").read_text(encoding="utf-8")
NAMED = {
    heading: {name for quoted in re.findall(r"`([^`]+)`", text) for name in quoted.split("/")}
    for heading, text in re.findall(r"^## (.+?)$(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
}


@pytest.fixture(scope="module")
def library(tmp_path_factory, tiny_run, videos):
    """A library of ``videos``."""
    return build_library(tmp_path_factory.mktemp("written") / "library", videos, tiny_run.path).library


def columns(schema):
    """Names of the columns and keys of the metadata of a Parquet file."""
    return {*schema.names, *(key.decode() for key in schema.metadata)} - {"ARROW:schema"}


def fields(path):
    """The fields of a JSON file."""
    return set(json.loads(path.read_text(encoding="utf-8")))


def test_run_folder(tiny_run):
    named = NAMED["Run folder"]
    described = set(re.findall(r"^([\w.]+)/?  ", run_folder.__doc__, re.MULTILINE))
    assert "config.yaml" in described
    assert described <= named
    assert {path.name for path in tiny_run.path.iterdir()} <= named
    assert {*tiny_run.log()[-1], *tiny_run.metrics()} <= named


def test_embeddings(tmp_path, tiny_run, videos):
    sora_video.write_embeddings(sora_video.load_encoder(tiny_run.path).embed(videos), tmp_path / "a.parquet")
    assert columns(pq.read_schema(tmp_path / "a.parquet")) <= NAMED["Embeddings"]


def test_library(tmp_path, library):
    named = NAMED["Library"]
    manifest = json.loads((library.path / "manifest.json").read_text(encoding="utf-8"))
    record = manifest["segments"][0]
    assert {*manifest, *record, *record["vectors"]} <= named
    assert set(record) == set(SegmentRecord.__dataclass_fields__)
    with sqlite3.connect(library.path / record["slices"]["name"]) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='table'")}
        found = {row[1] for table in tables for row in database.execute(f"PRAGMA table_info({table})")}
    assert tables == {"videos", "slices"}
    assert found <= named
    library.export(tmp_path / "export.parquet")
    assert set(pq.read_schema(tmp_path / "export.parquet").names) <= NAMED["Embeddings"] | named


def test_classifier(tmp_path, tiny_run, videos):
    sora_video.train_classifier(videos, tiny_run.path, tmp_path / "head", class_folders=True)
    assert {path.name for path in (tmp_path / "head").iterdir()} <= NAMED["Classifier"]
    assert fields(tmp_path / "head" / "head.json") <= NAMED["Classifier"]


@pytest.mark.usefixtures("quick_probe")
def test_report(tiny_run, videos):
    probe = sora_video.linear_probe(videos, tiny_run.path, class_folders=True)
    assert set(probe.as_json()) <= NAMED["Report of a probe"]
