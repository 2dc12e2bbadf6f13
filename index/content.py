"""What is known of a corpus's videos without decoding them: the SHA-256 of their files, and attributes."""

from sora_video.base.digests import file_sha256, text_sha256
from sora_video.pretrain.video.corpus import Corpus, Video

from .store.attributes import Attributes, Value, parse_value

__all__ = ["attributes_of", "contents_of"]

PROTOCOL = ("group", "split")
"""Columns of a manifest that say how to measure, not what a video is."""


def contents_of(corpus: Corpus) -> dict[str, str]:
    """SHA-256 of each video's file and of its spans; files that cannot be read are left out.

    Args:
        corpus: its files are read as a whole.

    Returns:
        64 hexadecimal digits by video, in the corpus's order.
    """
    spans: dict[str, list[Video]] = {}
    for video in corpus.videos:
        spans.setdefault(video.video_id, []).append(video)
    contents = {}
    for name, entries in spans.items():
        try:
            digest = file_sha256(entries[0].path)
        except OSError:
            continue  # embedding it reports the error
        key = f"{digest} {[(entry.start_s, entry.end_s) for entry in entries]}"
        contents[name] = text_sha256(key)
    return contents


def attributes_of(corpus: Corpus) -> dict[str, Attributes]:
    """A manifest's columns by video, without ``group``, ``split`` and values in which a video's spans differ.

    Args:
        corpus: with or without columns.

    Returns:
        By video; videos without attributes are left out.
    """
    shared: dict[str, dict[str, Value]] = {}
    for video in corpus.videos:
        columns = {name: parse_value(text) for name, text in video.columns.items() if name not in PROTOCOL}
        before = shared.setdefault(video.video_id, columns)
        shared[video.video_id] = {name: value for name, value in before.items() if columns.get(name) == value}
    return {name: attributes for name, attributes in shared.items() if attributes}
