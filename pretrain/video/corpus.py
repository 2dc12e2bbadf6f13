"""The set of videos that one command works on: a folder, a glob, one file, or a CSV/Parquet manifest."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path

from sora_video.base.errors import CorpusError, VideoError
from sora_video.base.kinds import not_there
from sora_video.base.times import clock

from .header import duration_of
from .manifest import check_any_exists, read_manifest
from .scan_table import absolute, unreadable_in
from .spreadsheet import SUFFIXES as TABLES
from .video import Video, readable

__all__ = ["SUFFIXES", "Corpus", "Source", "Video", "open_corpus", "open_span"]

SUFFIXES = frozenset(
    [
        ".3gp",
        ".asf",
        ".avi",
        ".flv",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".mxf",
        ".ogv",
        ".ts",
        ".vob",
        ".webm",
        ".wmv",
    ]
)
"""File name endings that are taken for video in a folder, in any case."""
SPAN_TOLERANCE_S = 0.01


@dataclass(frozen=True)
class Corpus:
    """Videos under one root."""

    root: Path
    videos: tuple[Video, ...]
    ignored: Mapping[str, int] = field(default_factory=dict)
    """Files below a folder that are not taken for video, by the ending of their names."""
    skipped: int = 0
    """Videos left out because a scan could not read them."""

    def __len__(self) -> int:
        return len(self.videos)

    @property
    def files(self) -> int:
        """How many files there are; several entries may be spans of one."""
        return len({video.video_id for video in self.videos})

    def numbers(self) -> list[int]:
        """A number for each entry, the same for entries of the same file."""
        numbers: dict[str, int] = {}
        return [numbers.setdefault(video.video_id, len(numbers)) for video in self.videos]


Source = Corpus | str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""A folder, a glob, a video, a manifest, a list of videos, or a corpus that is open already."""


def open_corpus(
    source: Source,
    *,
    class_folders: bool = False,
    skip: str | os.PathLike[str] | None = None,
    need_files: bool = True,
) -> Corpus:
    """Find the videos of a corpus.

    Args:
        source: a folder (searched to any depth), a glob, one video file, a ``.csv``, ``.tsv``, ``.txt`` or
            ``.parquet`` manifest with a column ``path`` (relative to the manifest) and optional columns
            ``label``, ``group``, ``split``, ``start_s`` and ``end_s``, a list of video files, or a corpus.
        class_folders: take the first folder below the root as each video's label.
        skip: a table that ``sora scan --out`` wrote; videos that it lists as unreadable are left out.
        need_files: refuse a manifest of which no file exists; False: their embeddings are at hand.

    Returns:
        The corpus; a folder's videos are sorted by name, a manifest's keep their order.

    Raises:
        CorpusError: the source does not exist, or holds no file that could be a video.
    """
    corpus = source if isinstance(source, Corpus) else find(source, need_files)
    corpus = label_by_folder(corpus) if class_folders else corpus
    return corpus if skip is None else without(corpus, Path(skip).expanduser())


def without(corpus: Corpus, table: Path) -> Corpus:
    """The videos of a corpus that a scan could read, or did not cover.

    Raises:
        CorpusError: no video is left, or the file is not a table of a scan.
    """
    unreadable = unreadable_in(table)
    videos = tuple(video for video in corpus.videos if absolute(video.path) not in unreadable)
    if not videos:
        raise CorpusError(f"corpus {corpus.root}: {table} names all {len(corpus)} videos as unreadable")
    return replace(corpus, videos=videos, skipped=len(corpus) - len(videos))


def open_span(video: str | Path, start_s: float | None = None, end_s: float | None = None) -> Corpus:
    """One video, or a span of it, as a corpus.

    Args:
        video: the file.
        start_s: start of the span in seconds; None: the video's.
        end_s: end of the span in seconds; None: the video's.

    Raises:
        VideoError: the file has no video that can be read, or the span is not within it.
    """
    path = Path(video).expanduser()
    try:
        duration_s = duration_of(path)
    except VideoError as error:
        reason = not_there(path, "a video", str(error))
        raise VideoError(f"video {path}: {reason}; choose a file that plays") from error
    first, last = 0.0 if start_s is None else start_s, duration_s if end_s is None else end_s
    if not 0 <= first < last <= duration_s + SPAN_TOLERANCE_S:
        raise VideoError(
            f"video {path}: span {clock(first, 2)} to {clock(last, 2)} is not within its 0:00.00 to "
            f"{clock(duration_s, 2)}; choose one that is"
        )
    entry = Video(video_id=path.as_posix(), path=path, start_s=first, end_s=min(last, duration_s))
    return Corpus(path.parent, (entry,))


def find(source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], need_files: bool) -> Corpus:
    """The corpus that a path, a pattern or a list of files names."""
    if not isinstance(source, str | os.PathLike):
        return from_paths([Path(path).expanduser() for path in source])
    path = Path(source).expanduser()
    if path.is_dir():
        return from_folder(path)
    if path.suffix.lower() in TABLES:
        videos = read_manifest(path)
        if need_files:
            check_any_exists(path, videos)
        return Corpus(path.parent, tuple(videos))
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES and (reason := not_there(path, "a video", "")):
            raise CorpusError(f"corpus {path}: {reason}; name a video, a folder of videos or a manifest")
        return from_paths([path])
    if glob.has_magic(str(path)):
        return from_glob(str(path))
    raise CorpusError(f"corpus {source}: no such file or folder; check the path")


def from_folder(root: Path) -> Corpus:
    """All files below a folder that are named like a video; hidden files are left out."""
    files = [path for path in walk(root) if not path.name.startswith(".")]
    paths = sorted(path for path in files if path.suffix.lower() in SUFFIXES)
    if not paths:
        none = f"holds no video; looked for files ending in {' '.join(sorted(SUFFIXES))}"
        raise CorpusError(f"corpus {root}: {not_there(root, 'a folder of videos', none)}")
    others = Counter(path.suffix.lower() for path in files if path.suffix.lower() not in SUFFIXES)
    return replace(build(root, paths), ignored=dict(others.most_common()))


def walk(root: Path) -> Iterator[Path]:
    """Files below a folder, through links to other folders too, each folder once; not in hidden folders."""
    seen: set[str] = set()
    for folder, names, files in os.walk(root, followlinks=True):
        real_path = os.path.realpath(folder)
        if real_path in seen:
            names.clear()
            continue
        seen.add(real_path)
        names[:] = [name for name in names if not name.startswith(".")]
        yield from (Path(folder, file) for file in files)


def from_glob(pattern: str) -> Corpus:
    """All files that match a glob; the root is the pattern's part before the first wildcard."""
    paths = sorted(Path(match) for match in glob.glob(pattern, recursive=True) if Path(match).is_file())
    if not paths:
        raise CorpusError(f"corpus {pattern}: the pattern matches no file; try it with ls, and quote it")
    fixed = []
    for part in Path(pattern).parts[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return build(Path(*fixed), paths)


def from_paths(paths: Sequence[Path]) -> Corpus:
    """Named files; the root is their common folder."""
    if not paths:
        raise CorpusError("corpus: the list of videos is empty; name at least one")
    absolute = [path.absolute() for path in paths]
    return build(Path(os.path.commonpath([path.parent for path in absolute])), absolute)


def build(root: Path, paths: Iterable[Path]) -> Corpus:
    """A corpus of unlabelled files, each with a different name."""
    names: dict[str, Path] = {}
    for path in paths:
        name = readable(path.relative_to(root))
        names[name if name not in names else f"{name}~{digest_of(path)}"] = path
    return Corpus(root, tuple(Video(video_id=name, path=path) for name, path in names.items()))


def digest_of(path: Path) -> str:
    """A suffix that distinguishes names that read the same because one of them is not UTF-8."""
    return blake2b(os.fsencode(path), digest_size=4).hexdigest()


def label_by_folder(corpus: Corpus) -> Corpus:
    """The same corpus with the first folder below the root as label."""
    flat = [video.video_id for video in corpus.videos if "/" not in video.video_id]
    if flat:
        raise CorpusError(
            f"corpus {corpus.root}: {flat[0]} is not in a class folder; expected {corpus.root}/CLASS/VIDEO"
        )
    videos = (
        replace(video, columns={**video.columns, "label": video.video_id.split("/", 1)[0]})
        for video in corpus.videos
    )
    return replace(corpus, videos=tuple(videos))
