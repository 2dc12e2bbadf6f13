"""To which power features are whitened, by training rows: ``python -m benchmarks.whitening --runs FOLDER``.

The folder is that of :mod:`.published`, whose embeddings are taken, or made where they are missing.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sora_video.pretrain.video.corpus import open_corpus

from .costs import machine
from .probes import probe_tasks
from .published import FIXED, FROM_NOTHING, MOTION, PUBLISHED, Study, whiten
from .real import TASKS, task_videos, write_table

TEXT = """`python -m benchmarks.whitening`: {facts}. Linear / kNN: balanced accuracy, means over group-safe
folds of the training rows; the last column is the mean of all. Runs of three minutes: {seeds} seeds.
Whitening is fitted to the slices of all videos, without labels."""


def rows(study: Study, powers: Sequence[float], seeds: int) -> Iterator[str]:
    """Each encoder, whitened to each power; 0 is as it is."""
    corpus = open_corpus(task_videos())
    for name in (PUBLISHED, MOTION, FROM_NOTHING):
        drawn = [study.embed(name, seed, "corpus", corpus) for seed in range(1 if name in FIXED else seeds)]
        for power in powers:
            seen = [whiten(one, one, power) if power else one for one in drawn]
            scores = np.array([probe_tasks(one, choose=True) for one in seen]).mean(0)[:, :2]
            cells = ["/".join(f"{value:.3f}" for value in task) for task in scores]
            means = [f"{value:.3f}" for value in (*scores.mean(0), scores.mean())]
            yield "| " + " | ".join([name, f"{power:g}", *cells, *means]) + " |"


def main() -> None:
    """Embed, whiten, probe, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="the folder of `benchmarks.published`")
    parser.add_argument("--powers", type=float, nargs="+", default=[0.0, 0.3, 0.4, 0.5, 0.7])
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    study = Study(arguments.runs, 3.0, 0.0)
    text = TEXT.format(facts=machine(), seeds=arguments.seeds)
    header = ["encoder", "power", *TASKS, "mean linear", "mean kNN", "mean"]
    found = rows(study, arguments.powers, arguments.seeds)
    write_table("whitening.md", "Powers of whitening, on training rows", text, header, found)


if __name__ == "__main__":
    main()
