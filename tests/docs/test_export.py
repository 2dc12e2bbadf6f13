"""The script of docs/export.md, run on real films by a process that knows nothing of this project."""

import ast
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from sora_video.pretrain.encoders.export.export import export_encoder
from sora_video.pretrain.encoders.load import load_encoder

ROOT = Path(__file__).parents[2]
(SCRIPT,) = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs" / "export.md").read_text(encoding="utf-8"), re.DOTALL
)


def test_the_script_needs_three_packages():
    imported = [name.name for node in ast.walk(ast.parse(SCRIPT)) for name in getattr(node, "names", ())]
    assert set(imported) - sys.stdlib_module_names == {"av", "numpy", "onnxruntime"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory, untrained_run):
    """A run that keeps the aspect of pictures, and its copy as ONNX."""
    folder = tmp_path_factory.mktemp("exported")
    settings = ("name=sora", "width=4", "input=rgb")
    run = untrained_run(
        folder / "run", *(f"encoder.{setting}" for setting in settings), "slice.size=32", "slice.resize=36"
    )
    export_encoder(run, folder / "onnx", "onnx")
    return run, folder / "onnx"


def embedded(folder, film, start_s):
    """What the script prints."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", SCRIPT, str(folder), str(film), str(start_s)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return np.loadtxt(StringIO(done.stdout))


def check(exported, film, *rows):
    """Compare rows of a film's embeddings with what the script prints for their starts."""
    run, folder = exported
    ours = load_encoder(run, "cpu").embed(film, progress=False)
    for row in rows:
        np.testing.assert_allclose(
            embedded(folder, film, ours.start_s[row]), ours.vectors[row], rtol=0, atol=1e-4
        )
    return ours


@pytest.mark.slow
def test_a_real_film_is_embedded_as_by_the_encoder(exported, data):
    (film,) = (data / "odd").rglob("*hitting_baseball*.mp4")
    ours = check(exported, film, 1, -1)
    assert np.abs(ours.vectors[1] - ours.vectors[-1]).max() > 1e-3  # so the right slice was embedded


def test_a_film_that_ends_within_its_slice_is_embedded_as_by_the_encoder(
    exported, tmp_path, write_video, moving_square
):
    film = write_video(tmp_path / "film.mp4", moving_square(3, 8, 48, 96), fps=12)
    check(exported, film, 0)
