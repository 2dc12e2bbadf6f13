"""How many times faster than real time a corpus is embedded: ``python -m benchmarks.embedding``."""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

from sora_video.configs.loader import load_config
from sora_video.pretrain.encoders.frozen import VideoEncoder, random_encoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.video.corpus import Corpus, open_corpus
from sora_video.pretrain.video.decode import open_video
from sora_video.pretrain.video.prepare import prepare_corpus

from .real import DATA, write_table

MODEL = "package:efficientnet_lite0"


def main() -> None:
    """Embed the wagon videos, prepared and raw, write and print the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    labels = DATA / "wagon" / "labels.csv"
    with tempfile.TemporaryDirectory() as scratch:
        prepare_corpus(labels, Path(scratch) / "small")
        prepared = open_corpus(Path(scratch) / "small" / "manifest.csv")
        write_table(
            "embedding.md",
            "Embedding beside real time",
            f"""`make bench-encoders`: `sora embed` of the wagon videos with default settings, by an encoder
            of the recipe `tiny-cpu` and by `{MODEL}`; {os.cpu_count()} cores, {platform.machine()}.
            Decoding alone: the same readers with nothing behind them.""",
            [
                "encoder",
                "corpus",
                "video, s",
                "embedding, s",
                "times real time",
                "decoding alone, s",
                "its share",
            ],
            rows({"prepared": prepared, "raw": open_corpus(labels)}),
        )


def rows(corpora: dict[str, Corpus]) -> Iterator[str]:
    """Each encoder on each corpus, after one video to warm up."""
    encoders = {"tiny-cpu": random_encoder(load_config("tiny-cpu")), MODEL: load_encoder(MODEL)}
    for (which, encoder), (name, corpus) in product(encoders.items(), corpora.items()):
        encoder.embed(Corpus(corpus.root, corpus.videos[:1]))
        length_s = sum(open_video(video.path, (64, 64)).duration_s for video in corpus.videos)
        embedding, decoding = seconds(encoder.embed, corpus), seconds(drain, encoder, corpus)
        cells = [f"{length_s:.0f}", f"{embedding:.1f}", f"{length_s / embedding:.0f}", f"{decoding:.1f}"]
        yield f"| {which} | {name} | " + " | ".join([*cells, f"{decoding / embedding:.2f}"]) + " |"


def drain(encoder: VideoEncoder, corpus: Corpus) -> None:
    """Read every slice and do nothing with it."""
    for _ in encoder.read(corpus):
        pass


def seconds(work: Callable[..., object], *arguments: object) -> float:
    """How long something takes."""
    began = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
