"""The package of docs/published.md: an encoder of another package, with weights of its own."""

import json
import re
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sora_video.base.errors import RunError
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.published.backbone import BACKBONE

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "published.md").read_text(encoding="utf-8")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The documented file, with the metadata of an installed package."""
    (code,) = re.findall(r"```python\n# file: tint\.py\n(.*?)```", TEXT, re.DOTALL)
    (toml,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "tint.py").write_text(code)
    metadata = tmp_path / "tint-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: tint\nVersion: 1.0\n")
    points = re.sub(r'\[project\.entry-points\."([\w.]+)"\]', r"[\1]", toml).replace('"', "")
    (metadata / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("tint", None)


def test_an_encoder_of_another_package_is_listed_fetched_and_used(sora, package, videos):
    weights = {"mix.weight": torch.rand(8, 3), "mix.bias": torch.rand(8)}
    save_file(weights, package / "given.safetensors")
    code, listed = sora("models", "list", "--json")
    assert code == 0, listed
    assert {"model": "tint:plain", "licence": "MIT"}.items() <= next(
        row for row in json.loads(listed) if row["model"] == "tint:plain"
    ).items()
    out = package / "models" / "tint"
    code, said = sora("models", "fetch", "tint:plain", "--from", package / "given.safetensors", "--out", out)
    assert code == 0, said
    assert f"name it with --model tint:plain@{out}" in said
    table = package / "videos.parquet"
    code, said = sora("embed", videos, "--model", f"tint:plain@{out}", "--out", table)
    assert code == 0, said
    assert table.is_file()

    described = json.loads((out / BACKBONE).read_text())
    assert described["libraries"]["tint"] == "1.0"
    (out / BACKBONE).write_text(json.dumps({**described, "check": described["check"][::-1]}))
    metadata = package / "tint-1.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("1.0", "1.1"))
    with pytest.raises(RunError, match=r"no longer computes what it did .*tint was 1\.0, is 1\.1"):
        load_encoder(f"tint:plain@{out}")
