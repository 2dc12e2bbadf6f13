"""Files damaged anywhere: each is read as decoding forward shows it, or named; nothing else is harmed."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from sora_video.pretrain.video.readers.limits import Limits
from sora_video.pretrain.video.readers.readers import Request, read_apart

FORMATS = {
    "mp4": ("libx264", {"bf": "2", "g": "8"}),
    "mov": ("mpeg4", {"g": "8"}),
    "mkv": ("libx264", {"bf": "2", "g": "8"}),
    "webm": ("libvpx", {"g": "8"}),
    "avi": ("mjpeg", {}),
    "ts": ("libx264", {"bf": "2", "g": "8"}),
    "flv": ("flv1", {"g": "8"}),
    "mpg": ("mpeg2video", {"g": "8", "bf": "2"}),
}
FRAMES = 24
AGREEMENT = 2.0
"""Grey levels: two ways to the same picture differ by rounding."""


@pytest.fixture
def jobs(monkeypatch):
    """The two ways to read a file, as readers import them."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    import forward_reference

    return forward_reference.product, forward_reference.reference


def film(path, codec, options):
    """A short film whose pictures all differ."""
    rng = np.random.default_rng(0)
    with av.open(path, "w") as made:
        stream = made.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.time_base = Fraction(1, 25)
        for number in range(FRAMES):
            picture = np.full((48, 64, 3), 40 + 7 * number, np.uint8)
            picture[8:40, 8:56] += rng.integers(0, 20, (32, 48, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    return path.read_bytes()


def damaged(data, count, seed):
    """Copies that are flipped, cut, or spliced at places all over the file."""
    rng = np.random.default_rng(seed)
    places = np.linspace(0, len(data) - 1, count).astype(int)
    for place in places.tolist():
        flipped = bytearray(data)
        flipped[place : place + 4] = rng.bytes(len(flipped[place : place + 4]))
        yield f"flip{place}", bytes(flipped)
        yield f"cut{place}", data[:place]
        yield f"splice{place}", data[:place] + data[place + 64 :]
        yield f"twice{place}", data[:place] + data


def read_all(job, files):
    """What a job gives of each file: its item, or the reason of the failure."""
    requests = [Request(number, job, str(path), path) for number, path in enumerate(files)]
    limits = Limits(frame_s=20, memory_mb=512)
    return {a.key: a.value for a in read_apart(requests, 2, limits) if a.kind != "done"}


@pytest.mark.parametrize("places", [4, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize("ending", FORMATS)
def test_damage_is_read_as_forward_decoding_shows_it_or_named(tmp_path, jobs, ending, places):
    data = film(tmp_path / f"whole.{ending}", *FORMATS[ending])
    files = [tmp_path / f"whole.{ending}"]
    for name, copy in damaged(data, places, seed=places):
        files.append(tmp_path / f"{name}.{ending}")
        files[-1].write_bytes(copy)
    product, reference = (read_all(job, files) for job in jobs)
    assert not isinstance(product[0], str), product[0]
    assert len(product[0][0]) == FRAMES
    wrong = [
        f"{path.name}: {fault}"
        for number, path in enumerate(files)
        if (fault := difference(path.name, product[number], reference[number]))
    ]
    assert not wrong, "\n".join(wrong)


def difference(name, ours, theirs):
    """What is wrong with a reading; None for a failure that has a name, and for what cannot be compared.

    Of bits that changed in a picture most formats know nothing: each decoder makes up another one.
    """
    if isinstance(ours, str):
        return "died: " + ours if "its reader was killed" in ours else None
    if isinstance(theirs, str) or name.startswith("flip"):
        return None
    (times, seen, read), (stamps, pictures, sound) = ours, theirs
    if sound < 2 or None in stamps or (np.diff(np.array(stamps)) <= 0).any():
        return None
    stamps = np.array(stamps)
    before = times < stamps[sound - 1] - stamps[0]
    times, seen, read = times[before], seen[before], read[before]
    if len(times) and not name.startswith("splice") and np.abs(seen - read).max() > AGREEMENT:
        return "random access and reading forward differ"
    if not len(times):
        return None
    shown = np.searchsorted(stamps - stamps[0], times + 1e-6, side="right") - 1
    apart = np.abs(pictures[shown] - read).max((1, 2))
    return None if apart.max() <= AGREEMENT else f"frame {int(apart.argmax())} differs by {apart.max():.0f}"
