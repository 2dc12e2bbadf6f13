"""What this machine offers, and what commands lack; without torch, so that the answer comes at once."""

import ctypes
import platform
import re
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

from sora_video.base.processes import usable_processors

__all__ = ["Check", "examine"]

PACKAGES = ("torch", "torchvision", "decord2", "av", "lightly", "pytorch-lightning", "pyarrow")
"""That commands need."""
EXTRAS = {"transformers": "hf", "timm": "timm", "open_clip_torch": "open-clip", "onnx": "onnx", "ray": "ray"}
"""Packages and the extras that bring them."""
DECODERS = ("h264", "hevc", "vp8", "vp9", "libdav1d", "mpeg4", "mpeg2video")
GB = 1e9
LEAST_DISK, LOW_DISK = 1 * GB, 10 * GB
LOW_MEMORY = 4 * GB
LOW_SHM = 1 * GB


class Check(NamedTuple):
    """One thing that was looked at."""

    name: str
    verdict: Literal["ok", "note", "missing"]
    """``note``: commands run, with a limit; ``missing``: something needed is not there."""
    found: str
    remedy: str = ""


class Devices(NamedTuple):
    """What computes beside the processors; versions of CUDA as 1000 x major + 10 x minor, 0 for none."""

    gpus: tuple[str, ...] = ()
    """Names of NVIDIA's GPUs."""
    driver: int = 0
    """The CUDA version that their driver has."""
    torch: int = 0
    """The CUDA version that torch was built for."""


def examine(films: str | None = None) -> list[Check]:
    """Look at packages, devices, space, decoders, and whether browsers play the films of a folder.

    Args:
        films: a corpus, whose headers are read; None: none.

    Returns:
        The checks, each with a verdict.

    Raises:
        CorpusError: there are no films.
    """
    devices = find_devices()
    return [
        Check("python", "ok", f"{platform.python_version()} on {platform.platform()}"),
        check_packages(),
        check_faiss(),
        check_extras(),
        Check("processors", "ok", str(usable_processors())),
        check_gpus(devices),
        check_memory(),
        check_disk(),
        *check_shm(len(devices.gpus), free_bytes(Path("/dev/shm"))),
        check_decoders(),
        *([] if films is None else [check_films(films)]),
    ]


def installed(name: str) -> str | None:
    """A package's version, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def check_packages() -> Check:
    """Those that are needed."""
    found = {name: installed(name) for name in PACKAGES}
    lacking = [name for name, number in found.items() if number is None]
    told = ", ".join(f"{name} {number}" for name, number in found.items() if number)
    if lacking:
        return Check("packages", "missing", told, f"pip install {' '.join(lacking)}")
    return Check("packages", "ok", told)


def check_faiss() -> Check:
    """One build of FAISS, and only one."""
    builds = {name: number for name in ("faiss-gpu", "faiss-cpu") if (number := installed(name))}
    told = ", ".join(f"{name} {number}" for name, number in builds.items())
    if len(builds) > 1:
        remedy = "both builds are installed, of which one is enough: pip uninstall faiss-cpu"
        return Check("faiss", "missing", told, remedy)
    return (
        Check("faiss", "ok", told) if builds else Check("faiss", "missing", "none", "pip install faiss-cpu")
    )


def check_extras() -> Check:
    """Packages that some commands need."""
    here = [f"{name} {number}" for name in EXTRAS if (number := installed(name))]
    lacking = [f"sora-video[{extra}]" for name, extra in EXTRAS.items() if installed(name) is None]
    return Check("extras", "ok", ", ".join([*here, *(f"without {extra}" for extra in lacking)]))


def find_devices() -> Devices:
    """Ask NVIDIA's driver."""
    built = torch_cuda()
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Devices(torch=built)
    number, count, name = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(100)
    driver.cuDriverGetVersion(ctypes.byref(number))
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return Devices(driver=number.value, torch=built)
    names = []
    for device in range(count.value):
        driver.cuDeviceGetName(name, len(name), device)
        names.append(name.value.decode())
    return Devices(tuple(names), number.value, built)


def torch_cuda() -> int:
    """The CUDA version that torch was built for, see :class:`Devices`."""
    spec = find_spec("torch")
    path = Path(spec.origin).with_name("version.py") if spec and spec.origin else None
    text = path.read_text(encoding="utf-8") if path and path.is_file() else ""
    built = re.search(r"^cuda\b[^=]*= '(\d+)\.(\d+)", text, re.MULTILINE)
    return 1000 * int(built[1]) + 10 * int(built[2]) if built else 0


def check_gpus(devices: Devices) -> Check:
    """Whether torch can compute on a GPU."""
    names, driver, built = devices
    if not names:
        remedy = "the processor computes; choose small encoders such as r3d_tiny"
        return Check("gpu", "note", "none", remedy)
    told = f"{', '.join(names)}; driver for CUDA {as_version(driver)}, torch for {as_version(built)}"
    if not built:
        return Check("gpu", "note", told, "torch is built for processors alone; install its CUDA build")
    if driver // 1000 < built // 1000:
        return Check("gpu", "missing", told, "update the driver, or install a torch for its CUDA")
    return Check("gpu", "ok", told)


def as_version(number: int) -> str:
    """A version of CUDA as people write it."""
    return f"{number // 1000}.{number % 1000 // 10}" if number else "none"


def check_memory() -> Check:
    """Memory that is free to this process, within the limit of its container."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.is_file():
        return Check("memory", "ok", "not known on this system")
    rows = dict(re.findall(r"^(\w+): +(\d+) kB", meminfo.read_text(encoding="ascii"), re.MULTILINE))
    free, total = (1024 * int(rows[name]) for name in ("MemAvailable", "MemTotal"))
    limit = container_limit()
    told = f"{min(free, limit) / GB:.1f} of {min(total, limit) / GB:.1f} GB free"
    if min(free, limit) < LOW_MEMORY:
        return Check("memory", "note", told, "lower optim.batch_size and data.workers")
    return Check("memory", "ok", told)


def container_limit() -> int:
    """Most memory of this process's container."""
    path = Path("/sys/fs/cgroup/memory.max")
    text = path.read_text(encoding="ascii").strip() if path.is_file() else "max"
    return 2**63 if text == "max" else int(text)


def check_disk() -> Check:
    """Space at the working folder."""
    space, place = shutil.disk_usage("."), Path.cwd()
    told = f"{space.free / GB:.1f} of {space.total / GB:.1f} GB free at {place}"
    if space.free < LEAST_DISK:
        return Check("disk", "missing", told, "free space, or work on another disk")
    if space.free < LOW_DISK:
        return Check("disk", "note", told, "runs keep decoded frames: set data.cache_gb")
    return Check("disk", "ok", told)


def free_bytes(folder: Path) -> int | None:
    """Free space of a file system; None where there is no such folder."""
    return shutil.disk_usage(folder).free if folder.is_dir() else None


def check_shm(gpus: int, free: int | None) -> Iterator[Check]:
    """Shared memory, where the system has some: only several GPUs exchange something by it."""
    if free is None:
        return
    told = f"{free / GB:.2f} GB free"
    if gpus > 1 and free < LOW_SHM:
        yield Check("/dev/shm", "note", told, "several GPUs share a step by it; docker run --shm-size 2g")
    else:
        yield Check("/dev/shm", "ok", f"{told}; frames do not travel by it")


def check_decoders() -> Check:
    """Decoders of the common codecs."""
    import av

    here = [name for name in DECODERS if name in av.codecs_available]
    lacking = [name for name in DECODERS if name not in here]
    if lacking:
        remedy = f"files of {', '.join(lacking)} cannot be read; install an av wheel that has them"
        return Check("decoders", "missing" if "h264" in lacking else "note", ", ".join(here), remedy)
    return Check("decoders", "ok", ", ".join(here))


def check_films(films: str) -> Check:
    """Whether browsers play the films of a corpus."""
    from sora_video.pretrain.video.browsers import playable
    from sora_video.pretrain.video.corpus import open_corpus

    found = playable({video.video_id: video.path for video in open_corpus(films).videos}.items())
    told = f"browsers play {found.films - len(found.refused) - len(found.unreadable)} of {found.films}"
    remedies = []
    if found.refused:
        name, obstacle = next(iter(found.refused.items()))
        remedies.append(
            f"{name} is {obstacle}; `sora prepare {films} --out small` makes copies that they play"
        )
    if found.unreadable:
        name, why = next(iter(found.unreadable.items()))
        remedies.append(f"{name} cannot be read: {why}; see `sora scan {films}`")
    return Check("films", "note" if remedies else "ok", told, "; ".join(remedies))
