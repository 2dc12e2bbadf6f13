import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu_embedding import describe, listed

ROOT = Path(__file__).parents[2]


def test_every_listed_encoder_is_measured_at_the_input_that_is_listed():
    for model, source in listed(small=False):
        if source.is_installed():
            slices = describe(model).slice
            shape = f"{slices['frames']} x {slices['size']} x {slices['size']}"
            assert (model, shape) == (model, source.listed()[model.partition(":")[2]].input)


@pytest.mark.slow
def test_the_benchmark_of_a_gpu_can_be_tried_without_one(tmp_path):
    table = tmp_path / "gpu.md"
    command = [sys.executable, "-m", "benchmarks.gpu", "--cpu", "--small", "--out", table]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    rows = [row for row in table.read_text().splitlines() if row.startswith("| training")]
    assert len(rows) == 2
    assert all("clips/s, wait" in row for row in rows)
    assert "failed" not in table.read_text()
    assert "embedding, hf:facebook/vjepa2-vitl-fpc64-256" in table.read_text()
