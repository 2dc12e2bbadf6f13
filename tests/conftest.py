"""Videos, folders of videos and finished runs that tests share."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from sora_video.cli.main import main
from sora_video.configs.loader import load_config
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.encoders.fingerprint import fingerprint
from sora_video.pretrain.encoders.registry import build_encoder
from sora_video.pretrain.encoders.weights import write_weights
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.run.folder import Run

pytest_plugins = ["tests.browser", "tests.tiny_models"]

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("SORA_DATA", ROOT.parent / "shared" / "data"))
LARGE = 500_000
"""Bytes of an odd file above which only `make test-all` reads it."""
ALIKE = "sample-videos__asl_gestures_"
"""How the names of odd files begin that are of one kind; only `make test-all` reads all of them."""
ABSENT = "real videos are absent; set SORA_DATA to their folder"
TINY = (
    "encoder.width=4",
    "slice.size=32",
    "slice.per_video=2",
    "augment.size=32",
    "loss.temperature=0.1",
    "loss.projection_hidden=32",
    "loss.projection_dim=16",
    "optim.batch_size=4",
    "optim.epochs=3",
    "optim.warmup_epochs=1",
    "optim.precision=fp32",
    "data.workers=0",
    "tracking.every=1",
)

# Small networks on shared processors: threads that wait for each other cost far more than they gain.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # for processes that tests start

# A shell ignores Ctrl-C for what it starts in its background; processes that tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

Picture = NDArray[np.uint8]
WriteVideo = Callable[..., Path]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes ``odd_file`` once for every file as the world has them."""
    if "odd_file" in metafunc.fixturenames:
        files = sorted(path for path in (DATA / "odd").rglob("*") if path.is_file())
        few = quick(files)
        values = [pytest.param(path, marks=() if path in few else pytest.mark.slow) for path in files] or [
            pytest.param(None, marks=pytest.mark.skip(reason=ABSENT))
        ]
        metafunc.parametrize("odd_file", values, ids=[path.name for path in files] or ["absent"])


def quick(files: Sequence[Path]) -> list[Path]:
    """Those odd files that are neither large nor a repetition."""
    small = [path for path in files if path.stat().st_size <= LARGE]
    repetitions = [path for path in small if path.name.startswith(ALIKE)][1:]
    return [path for path in small if path not in repetitions]


@pytest.fixture(autouse=True)
def _keep_random_state() -> Iterator[None]:
    """Give back torch's and NumPy's global random states as they were."""
    before, numpy_before = torch.random.get_rng_state(), np.random.get_state()
    yield
    torch.random.set_rng_state(before)
    np.random.set_state(numpy_before)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real videos."""
    if not DATA.is_dir():
        pytest.skip(ABSENT)
    return DATA


@pytest.fixture(scope="session")
def odd_files(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the odd files that are soon read; not to be changed."""
    root = tmp_path_factory.mktemp("odd")
    for path in quick(sorted(path for path in (data / "odd").rglob("*") if path.is_file())):
        link = root / path.relative_to(data / "odd")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    return root


@pytest.fixture(scope="session")
def write_video() -> WriteVideo:
    """A function that encodes RGB pictures to a file, with mono sound at 16 kHz if there is any."""

    def write(
        path: Path,
        pictures: Sequence[Picture],
        *,
        fps: int = 25,
        pts: Sequence[int] | None = None,
        time_base: Fraction | None = None,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        options: dict[str, str] | None = None,
        sound: NDArray[np.float32] | None = None,
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = pictures[0].shape[:2]
        tick = time_base or Fraction(1, fps)
        sharp = {"crf": "10", "threads": "1"} if codec == "libx264" else {}
        with av.open(path, "w") as container:
            stream = container.add_stream(codec, rate=fps, options={**sharp, **(options or {})})
            stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
            stream.codec_context.time_base = tick
            track = None if sound is None else container.add_stream("aac", rate=16000, layout="mono")
            scaler = VideoReformatter()
            for number, picture in enumerate(pictures):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                # with several threads, which is the default, the result is not always the same
                frame = scaler.reformat(frame, format=pix_fmt, threads=1)
                frame.pts = number if pts is None else pts[number]
                frame.time_base = tick
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
            if sound is not None and track is not None:
                has_audio = av.AudioFrame.from_ndarray(
                    sound[None].astype(np.float32), format="fltp", layout="mono"
                )
                has_audio.sample_rate, has_audio.pts = 16000, 0
                container.mux(track.encode(has_audio))
                container.mux(track.encode(None))
        return path

    return write


@pytest.fixture(scope="session")
def write_sound() -> Callable[[Path], Path]:
    """A function that writes a file with sound and no picture."""

    def write(path: Path) -> Path:
        with av.open(path, "w") as container:
            stream = container.add_stream("aac", rate=16000, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate = 16000
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture(scope="session")
def grey_ramp() -> Callable[[Sequence[float]], list[Picture]]:
    """A function that shows time as brightness: flat pictures of level 20 + 50 a second."""

    def ramp(times: Sequence[float]) -> list[Picture]:
        return [np.full((48, 64, 3), round(20 + 50 * time), np.uint8) for time in times]

    return ramp


@pytest.fixture(scope="session")
def moving_square() -> Callable[..., list[Picture]]:
    """A function that draws a square which moves and brightens over a textured ground, decided by a seed."""

    def draw(seed: int, count: int = 50, height: int = 48, width: int = 64) -> list[Picture]:
        rng = np.random.default_rng(seed)
        ground = np.kron(rng.integers(0, 200, (6, 8, 3)), np.ones((height // 6, width // 8, 1)))
        colour, speed = rng.integers(60, 255, 3), rng.integers(1, 4)
        pictures = []
        for number in range(count):
            picture = ground.astype(np.uint8)
            left, top = (5 * seed + speed * number) % (width - 16), (3 * seed + number) % (height - 16)
            picture[top : top + 16, left : left + 16] = colour * (count + number) / (2 * count)
            pictures.append(picture)
        return pictures

    return draw


@pytest.fixture(scope="session")
def videos(
    tmp_path_factory: pytest.TempPathFactory,
    write_video: WriteVideo,
    moving_square: Callable[..., list[Picture]],
) -> Path:
    """A folder of 8 videos of 2 to 3 seconds in two class folders; not to be changed."""
    root = tmp_path_factory.mktemp("videos")
    for number in range(8):
        name = f"{'even' if number % 2 == 0 else 'odd'}/clip {number}.mp4"
        write_video(root / name, moving_square(number, 50 + 3 * number))
    return root


@pytest.fixture(scope="session")
def heard_videos(
    tmp_path_factory: pytest.TempPathFactory,
    write_video: WriteVideo,
    moving_square: Callable[..., list[Picture]],
) -> Path:
    """A folder of 8 videos of 2 to 3 seconds: 6 with a tone each, one silent, one without a track."""
    root = tmp_path_factory.mktemp("heard")
    for number in range(8):
        pitch, loudness = 300 * (number + 1), 0.0 if number == 6 else 0.3
        wave = loudness * np.sin(np.arange(3 * 16000) * 2 * np.pi * pitch / 16000)
        sound = None if number == 7 else wave.astype(np.float32)
        write_video(root / f"clip {number}.mp4", moving_square(number, 50 + 3 * number), sound=sound)
    return root


@pytest.fixture
def sora(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """A function that runs the command in this process: its exit code, and what it printed there.

    Starting a process of its own, as a user does, takes seconds; ``test_cli.py`` does so.
    """

    def run(*words: object) -> tuple[int, str]:
        capsys.readouterr()
        monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # else the command sets it for good
        monkeypatch.setattr(sys, "argv", ["sora", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.err if ended.value.code else printed.out

    return run


@pytest.fixture(scope="session")
def make_config() -> Callable[..., PretrainConfig]:
    """A function from overrides to the config of a run that takes seconds."""
    return lambda *overrides: load_config(None, [*TINY, *overrides])


@pytest.fixture(scope="session")
def tiny_run(
    tmp_path_factory: pytest.TempPathFactory, videos: Path, make_config: Callable[..., PretrainConfig]
) -> Run:
    """A finished run on ``videos``; not to be changed."""
    return pretrain_encoder(videos, tmp_path_factory.mktemp("run") / "tiny", make_config())


@pytest.fixture
def quick_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes with few steps of training beside a single untrained encoder; what they score means little."""
    monkeypatch.setattr("sora_video.downstream.probe.probe.RANDOM_DRAWS", 1)
    monkeypatch.setattr("sora_video.downstream.probe.attentive.EPOCHS", 2)
    monkeypatch.setattr("sora_video.downstream.probe.attentive.LEAST_STEPS", 2)


@pytest.fixture(scope="session")
def untrained_run() -> Callable[..., Path]:
    """A function that writes a finished run that never trained: a folder, and overrides of its config."""

    def write(folder: Path, *overrides: str) -> Path:
        config = load_config(None, overrides)
        Run.new(folder, config).begin()
        weights = build_encoder(config.encoder, seed=0).state_dict()
        write_weights(folder, weights, fingerprint(weights, config.encoder, config.slice))
        return folder

    return write
