"""What a corpus says of its videos without looking into them: the content of their files, and attributes."""

from sora_video.base.digests import file_sha256, text_sha256
from sora_video.pretrain.video.corpus import Corpus, Video

from .store.filters import Attributes, Value, parse_value

__all__ = ["attributes_of", "contents_of"]

PROTOCOL = ("group", "split")
"""Columns of a manifest that say how to measure, not what a video is."""


def contents_of(corpus: Corpus) -> dict[str, str]:
    """SHA-256 of each video's file and of its spans; files that cannot be read are left out.

    Returns:
        By video, in the corpus's order.
    """
    spans: dict[str, list[Video]] = {}
    for video in corpus.videos:
        spans.setdefault(video.video_id, []).append(video)
    found = {}
    for name, entries in spans.items():
        try:
            digest = file_sha256(entries[0].path)
        except OSError:
            continue  # whoever embeds it says what is wrong with it
        told = f"{digest} {[(entry.start_s, entry.end_s) for entry in entries]}"
        found[name] = text_sha256(told)
    return found


def attributes_of(corpus: Corpus) -> dict[str, Attributes]:
    """A manifest's columns by video, without ``group``, ``split`` and what a video's spans differ in."""
    found: dict[str, dict[str, Value]] = {}
    for video in corpus.videos:
        own = {name: parse_value(text) for name, text in video.columns.items() if name not in PROTOCOL}
        before = found.setdefault(video.video_id, own)
        found[video.video_id] = {name: value for name, value in before.items() if own.get(name) == value}
    return {name: attributes for name, attributes in found.items() if attributes}
