import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_benchmark_of_a_gpu_can_be_tried_without_one(tmp_path):
    table = tmp_path / "gpu.md"
    command = [sys.executable, "-m", "benchmarks.gpu", "--cpu", "--small", "--out", table]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    rows = [row for row in table.read_text().splitlines() if row.startswith("| training")]
    assert len(rows) == 2
    assert all("clips/s, wait" in row for row in rows)
    assert "failed" not in table.read_text()
