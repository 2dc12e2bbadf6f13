import subprocess
import sys

import numpy as np
import pytest
import torch

from sora_video.doctor import Devices, check_gpus, check_shm, find_devices
from sora_video.pretrain.video.browsers import playable

SCRIPT = """
import sys
from sora_video.cli.main import make_app
from sora_video.doctor import examine
make_app()
examine(sys.argv[1])
print([name for name in ("torch", "faiss", "lightly", "sklearn", "matplotlib") if name in sys.modules])
"""


H200 = ("NVIDIA H200",)


@pytest.mark.parametrize(
    ("devices", "verdict", "found", "remedy"),
    [
        (Devices(torch=13000), "note", "none", "the processor computes; choose small encoders"),
        (Devices(driver=13000, torch=13000), "note", "none", "the processor computes"),
        (Devices(H200, 13000, 12080), "ok", "NVIDIA H200; driver for CUDA 13.0, torch for 12.8", ""),
        (Devices(H200 * 2, 12080, 12090), "ok", "NVIDIA H200, NVIDIA H200; driver for CUDA 12.8", ""),
        (Devices(H200, 12040, 13000), "missing", "NVIDIA H200; driver for CUDA 12.4", "update the driver"),
        (Devices(H200, 13000, 0), "note", "driver for CUDA 13.0, torch for none", "install its CUDA build"),
    ],
)
def test_a_gpu_needs_a_driver_that_torch_can_use(devices, verdict, found, remedy):
    check = check_gpus(devices)
    assert check.verdict == verdict
    assert found in check.found
    assert remedy in check.remedy
    assert bool(check.remedy) == bool(remedy)


@pytest.mark.parametrize(
    ("gpus", "free", "verdicts"),
    [(0, 10**8, ["ok"]), (1, 10**8, ["ok"]), (2, 10**8, ["note"]), (2, 2 * 10**9, ["ok"]), (2, None, [])],
)
def test_shared_memory_matters_to_several_gpus_alone(gpus, free, verdicts):
    assert [check.verdict for check in check_shm(gpus, free)] == verdicts


def test_devices_are_those_that_torch_finds():
    devices = find_devices()
    built = [int(part) for part in (torch.version.cuda or "0.0").split(".")]
    assert devices.torch == 1000 * built[0] + 10 * built[1]
    if torch.version.cuda:  # a torch for processors alone finds none
        assert len(devices.gpus) == torch.cuda.device_count()


def test_nothing_that_takes_seconds_is_imported(videos):
    done = subprocess.run([sys.executable, "-c", SCRIPT, videos], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_films_that_browsers_do_not_play_are_named(sora, write_video, tmp_path):
    pictures = [np.full((48, 64, 3), 40 * number, np.uint8) for number in range(5)]
    write_video(tmp_path / "films/plays.mp4", pictures)
    write_video(tmp_path / "films/plays.webm", pictures, codec="libvpx-vp9")
    write_video(tmp_path / "films/old.avi", pictures, codec="mpeg4")
    write_video(tmp_path / "films/sharp.mp4", pictures, pix_fmt="yuv444p")
    write_video(tmp_path / "films/box.mkv", pictures)
    (tmp_path / "films/text.mp4").write_text("no video")
    found = playable((path.name, path) for path in (tmp_path / "films").iterdir())
    assert found.films == 6
    assert found.refused == {
        "old.avi": "mpeg4 in avi",
        "sharp.mp4": "h264 of yuv444p pixels",
        "box.mkv": "h264 in matroska",
    }
    assert list(found.unreadable) == ["text.mp4"]
    code, told = sora("doctor", tmp_path / "films")
    assert code == 0
    (line,) = [line for line in told.splitlines() if " films " in line]
    assert line.startswith("note     films       browsers play 2 of 6: box.mkv is h264 in matroska; ")
    assert "text.mp4 cannot be read: " in line
    small = tmp_path / "small"
    assert sora("prepare", tmp_path / "films", "--out", small)[0] == 0
    assert playable((path.name, path) for path in small.glob("*.mp4")).refused == {}
    assert "ok       films       browsers play 5 of 5" in sora("doctor", small)[1]


def test_films_that_are_not_there_are_a_mistake(sora, tmp_path):
    code, told = sora("doctor", tmp_path / "absent")
    assert code == 2
    assert "absent: no such file or folder" in told
