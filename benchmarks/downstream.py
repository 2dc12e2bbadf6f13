"""Probes of real data sets with their intervals, and what a probe costs: ``python -m benchmarks.downstream``.

The data are those of benchmarks.real. The cost is that of probes on cached embeddings of made-up videos: four
directions a class in noise, the same ones each time; each solver has a process of its own.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegressionCV
from sklearn.preprocessing import StandardScaler

from sora_video.base.files import write_text
from sora_video.configs.loader import load_config
from sora_video.downstream.probe.knn import knn_probe
from sora_video.downstream.probe.linear import STRENGTHS, linear_probe_scores
from sora_video.downstream.probe.metrics import quality
from sora_video.downstream.probe.probe import linear_probe
from sora_video.downstream.probe.results import Results
from sora_video.downstream.probe.retrieval import retrieve
from sora_video.downstream.probe.split import Split
from sora_video.downstream.probe.store import FeatureStore, locked
from sora_video.downstream.probe.table import cell
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.training.loop import pretrain_encoder

from .real import DATA, RESULTS, TASKS, task_videos

DIM, CLASSES = 128, 100
SOLVERS = ("sora linear", "scikit-learn", "sora kNN", "sora retrieval")


def main() -> None:
    """Probe every task, measure every solver, write and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a finished run; default: one is pretrained")
    parser.add_argument("--epochs", type=int, help="of that pretraining; default: the recipe's")
    parser.add_argument("--tasks", nargs="*", default=list(TASKS), help="names of tasks")
    parser.add_argument("--finetune", type=int, default=0, help="epochs of fine-tuning")
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000], help="embeddings to probe")
    parser.add_argument("--solver", choices=SOLVERS, help="measure one alone and print it as JSON")
    parser.add_argument("--cache", type=Path, help="where the embeddings of --solver are")
    parser.add_argument("--out", type=Path, default=RESULTS / "downstream.md", help="file to write")
    arguments = parser.parse_args()
    if arguments.solver:
        print(json.dumps(measure(arguments.solver, arguments.rows[0], arguments.cache)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        run = arguments.model or pretrain(Path(scratch) / "run", arguments.epochs)
        lines = [*quality_table(run, arguments), *cost_table(arguments.rows, Path(scratch))]
    print("\n".join(lines))
    write_text(arguments.out, "\n".join(lines) + "\n")


def pretrain(path: Path, epochs: int | None) -> Path:
    """A run with the recipe ``tiny-cpu`` on the videos of all tasks, without their labels."""
    config = load_config("tiny-cpu", [] if epochs is None else [f"optim.epochs={epochs}"])
    return pretrain_encoder(task_videos(), path, config).path


def quality_table(run: Path, arguments: argparse.Namespace) -> list[str]:
    """A row a task and kind of features."""
    columns = ["linear", "attentive", "fine-tuned", "knn", "R@1", "mAP"]
    if not arguments.finetune:
        columns.remove("fine-tuned")
    lines = [
        "# Downstream",
        "",
        f"`make bench-downstream`; {os.cpu_count()} cores, {platform.machine()}; the recipe `tiny-cpu`,",
        f"{load_encoder(run).config.optim.epochs} epochs. Balanced accuracy (linear, attentive, kNN) and",
        "retrieval (R@1, mAP), each with its 95 % bootstrap interval over the groups of the",
        "test videos and over seeds; wagon and handwash have 3 or 4 groups, so that theirs are rough.",
        "Pretraining saw all videos, the test rows included, and no label; nothing is chosen on test rows.",
        "",
        "| task | features | " + " | ".join(columns) + " | seconds |",
        "|---" * (len(columns) + 3) + "|",
    ]
    for task in arguments.tasks:
        folder, split = TASKS[task]
        began = time.monotonic()
        probe = linear_probe(DATA / folder / "labels.csv", run, split=split, finetune=arguments.finetune)
        lines += rows(task, probe, columns, time.monotonic() - began)
    return lines


def rows(task: str, probe: Results, columns: list[str], seconds: float) -> list[str]:
    """The lines of one task."""
    lines = []
    for scores in probe.scores:
        cells = []
        for column in columns:
            values = scores.estimates.get("retrieval" if column in ("R@1", "mAP") else column, {})
            value = values.get(column if column in ("R@1", "mAP") else "balanced")
            cells.append(cell(value) if value else "")
        first = scores is probe.scores[0]
        told = f"{seconds:.0f}" if first else ""
        lines.append(f"| {task if first else ''} | {scores.name} | " + " | ".join(cells) + f" | {told} |")
    return lines


def cost_table(counts: list[int], scratch: Path) -> list[str]:
    """A row a solver and number of embeddings, each measured in a process of its own."""
    lines = [
        "",
        "## Cost of a probe on cached embeddings",
        "",
        f"{DIM} dimensions, {CLASSES} classes, a fifth of the rows for testing. Linear: C is chosen among",
        f"{len(STRENGTHS)} by one fold of the training rows, then fitted. scikit-learn: its own CV,",
        "L-BFGS, the same values and fold. Seconds without loading; memory is the most the process held.",
        "",
        "| embeddings | solver | seconds | peak memory, MB | balanced accuracy | chosen |",
        "|---" * 6 + "|",
    ]
    for count in counts:
        cache = scratch / str(count)
        make_embeddings(cache, count)
        for solver in SOLVERS:
            words = [sys.executable, "-m", "benchmarks.downstream", "--solver", solver]
            words += ["--rows", str(count), "--cache", str(cache)]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            cost = json.loads(done.stdout.splitlines()[-1])
            lines.append(
                f"| {count} | {solver} | {cost['seconds']:.1f} | {cost['memory_mb']:.0f} | "
                f"{cost['score']} | {cost['chosen']} |"
            )
    return lines


def make_embeddings(cache: Path, count: int) -> None:
    """Cache embeddings: four places a class on the sphere, with noise; the class is the row's number."""
    rng = np.random.default_rng(0)
    places = rng.normal(size=(CLASSES, 4, DIM))
    store = open_store(cache)
    with locked(cache):
        store.start()
        for row in range(count):
            vector = places[row % CLASSES, rng.integers(4)] + 2.5 * rng.normal(size=DIM)
            store.add(str(row), (vector / np.linalg.norm(vector))[None].astype(np.float32))
        store.commit()


def open_store(cache: Path) -> FeatureStore:
    """Where the embeddings are."""
    return FeatureStore(cache / "made-up", {"what": "made up", "dim": DIM})


def measure(solver: str, count: int, cache: Path) -> dict[str, Any]:
    """What a solver takes, and what it reaches."""
    features, _, _ = open_store(cache).read([str(row) for row in range(count)])
    labels = np.array([f"class {row % CLASSES:03d}" for row in range(count)])
    everything = np.random.default_rng(1).permutation(count)
    rows = np.arange(count).astype(str)
    split = Split(labels, rows, np.sort(everything[: count * 4 // 5]), np.sort(everything[count * 4 // 5 :]))
    chosen: dict[str, float] = {}
    score = ""
    began = time.monotonic()
    if solver == "scikit-learn":
        scores, chosen = scikit_learn(features, split)
    elif solver == "sora retrieval":
        found = retrieve(features, split)
        score = f"R@1 {float((found.first == 1).mean()):.3f}"
    else:
        probe = linear_probe_scores if solver == "sora linear" else knn_probe
        prediction = probe(features, split)
        scores, chosen = prediction.scores, dict(prediction.choice)
    seconds = time.monotonic() - began
    return {
        "seconds": seconds,
        "memory_mb": peak_mb(),
        "score": score or f"{quality(split.targets[split.test], scores, False):.3f}",
        "chosen": ", ".join(f"{name}={value:g}" for name, value in chosen.items()),
    }


def peak_mb() -> float:
    """Most memory in MB that this program held; ``getrusage`` would count that of its parent too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def scikit_learn(features: np.ndarray, split: Split) -> tuple[np.ndarray, dict[str, float]]:
    """The same choice and fit by scikit-learn alone."""
    scaler = StandardScaler().fit(features[split.train])
    codes = split.targets[split.train].argmax(1)
    model = LogisticRegressionCV(
        Cs=STRENGTHS,
        cv=split.pairs[:1],
        class_weight="balanced",
        scoring="balanced_accuracy",
        max_iter=300,
        l1_ratios=(0,),
        use_legacy_attributes=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaler.transform(features[split.train]), codes)
    scores = model.predict_proba(scaler.transform(features[split.test]))
    return scores, {"C": float(np.ravel(model.C_)[0])}


if __name__ == "__main__":
    main()
