"""YouTube-8M feature tables (Abu-El-Haija et al., YouTube-8M, 2016), read without TensorFlow.

train0093.tfrecord, validate….tfrecord, test….tfrecord
    video level    Example: id, labels, mean_rgb (1024 floats), mean_audio (128 floats)
    frame level    SequenceExample: id, labels, and a frame a second of rgb (1024 bytes) and audio (128 bytes)

Bytes stand for numbers from -2 to 2. Features become embeddings, L2-normalised, which commands take like
those of ``sora embed``; a video-level feature is given the span from 0 to 1 s, its length being unknown.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sora_video.base.digests import text_sha256
from sora_video.base.errors import CorpusError
from sora_video.pretrain.encoders.embeddings import Embeddings
from sora_video.pretrain.video.corpus import Corpus, Video, walk

from .dataset import Dataset, FeatureTable
from .tfrecord import parse_example, read_records

__all__ = ["DATASET", "read_features"]

SIDES = {"train": "train", "validate": "test"}
"""Validation videos are tested on; the labels of the test set are not public."""


def read_features(folder: str | Path, stream: str = "rgb") -> FeatureTable:
    """Read all feature tables below a folder.

    Args:
        folder: holds ``.tfrecord`` files; all of one level.
        stream: ``rgb`` or ``audio``.

    Returns:
        Embeddings and labels, held in memory: 4 kB a vector of ``rgb``.

    Raises:
        CorpusError: there is none, one is damaged, or holds no such features.
    """
    root = Path(folder).expanduser()
    files = sorted(path for path in walk(root) if path.match("[!.]*.tfrecord"))
    if not files:
        raise CorpusError(f"data set {root}: holds no .tfrecord file; unpack YouTube-8M there")
    videos, parts = [], []
    for path in files:
        side = next((side for name, side in SIDES.items() if path.name.startswith(name)), "")
        for record in read_records(path):
            features, frames = parse_example(record)
            vectors = vectors_of(features, frames, stream, path)
            videos.append(to_video(features, side, path))
            parts.append(vectors)
    counts = [len(part) for part in parts]
    vectors = np.concatenate(parts)
    numbers = np.concatenate([np.arange(count) for count in counts])
    embeddings = Embeddings(
        video_id=np.repeat(np.array([video.video_id for video in videos], dtype=object), counts),
        slice_no=numbers.astype(np.int32),
        start_s=numbers.astype(np.float64),
        end_s=numbers + 1.0,
        vectors=vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12),
        fingerprint=text_sha256(f"YouTube-8M {stream}"),
    )
    return FeatureTable(embeddings, Corpus(root, tuple(videos)))


def vectors_of(
    features: dict[str, Any], frames: dict[str, list[Any]], stream: str, path: Path
) -> NDArray[np.float32]:
    """(n, D) features of one video."""
    if stream in frames:
        codes = np.stack([np.frombuffer(frame[0], np.uint8) for frame in frames[stream]])
        return codes.astype(np.float32) * np.float32(4 / 255) + np.float32(4 / 512 - 2)
    if f"mean_{stream}" in features:
        return np.asarray(features[f"mean_{stream}"], np.float32)[None]
    raise CorpusError(f"{path}: holds no {stream} features, only {', '.join([*features, *frames])}")


def to_video(features: dict[str, Any], side: str, path: Path) -> Video:
    """One video's name and labels."""
    named = features.get("id") or features.get("video_id")
    if not named:
        raise CorpusError(f"{path}: a record has no id; download the file again")
    labels = [str(label) for label in features.get("labels", [])]
    columns = {"label": labels[0] if labels else "", "labels": ";".join(labels), "split": side}
    video_id = named[0].decode()
    kept = {key: text for key, text in columns.items() if text}
    return Video(video_id=video_id, path=Path(video_id), columns=kept)


DATASET = Dataset(
    title="YouTube-8M features",
    home="https://research.google.com/youtube8m/download.html",
    splits="split (validation is test)",
    groups="video",
    read_features=read_features,
)
