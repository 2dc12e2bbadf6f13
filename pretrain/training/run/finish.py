"""The end of a run."""

import shutil
from typing import TYPE_CHECKING

from sora_video.base.errors import RunError
from sora_video.base.files import write_json, write_text
from sora_video.pretrain.encoders.fingerprint import fingerprint
from sora_video.pretrain.encoders.weights import write_weights

from .card import model_card
from .checkpoint import quality_of, unpack

if TYPE_CHECKING:
    from ..loop import Training

__all__ = ["finish"]


def finish(training: "Training") -> None:
    """Write what a reader wants, the weights last.

    Raises:
        RunError: there is nothing to finish, since not one step was taken.
        StorageError: the disk is full.
    """
    run, corpus = training.run, training.corpus
    log = [line for line in run.log() if "loss" in line]
    if not log:
        raise RunError(f"run {run.path}: no step could be taken; quarantine.json and events.jsonl say why")
    seen = show_end(training, restored=restore_best(training))
    encoder = training.learner.inner.encoder
    weights = encoder.state_dict()
    mark = fingerprint(weights, run.config.encoder, run.config.slice)
    metrics = {
        "fingerprint": mark,
        "videos": len(corpus),
        "unreadable": len(training.quarantine.failures),
        "steps": training.sampler.total_steps,
        "parameters": sum(weight.numel() for weight in encoder.parameters()),
        "loss": log[-1]["loss"],
        "clips_per_s": sum(line["clips_per_s"] for line in log) / len(log),
        "wait": sum(line["wait"] for line in log) / len(log),
        **seen,
    }
    write_json(run.path / "metrics.json", metrics)
    write_text(run.path / "README.md", model_card(run.config, corpus, metrics))
    write_weights(run.path, weights, mark)
    training.checkpoints.drop()
    shutil.rmtree(run.path / "cache", ignore_errors=True)


def restore_best(training: "Training") -> bool:
    """Go back to the best state where that is asked for and better than the last; say whether."""
    best = training.checkpoints.best() if training.config.checkpoint.final == "best" else None
    if best is None or quality_of(best) >= training.mean_quality():
        return False
    training.learner.load(unpack(best.read_bytes()))
    return True


def show_end(training: "Training", *, restored: bool) -> dict[str, float]:
    """Draw the map of the monitor's set, and score the weights that the run ends with.

    Args:
        training: the run.
        restored: whether these weights are others than those of the last look.
    """
    monitor = training.monitor
    if monitor is None:
        return {}
    look = monitor.last
    if restored or look is None:
        look = monitor.look(training.learner.inner.encoder)
    if look is None:
        return {}
    path = training.run.path / "map.png"
    monitor.draw_map(look, path)
    training.tracker.picture(training.sampler.total_steps, "map", path)
    return {"knn": look.knn, "knn_untrained": monitor.untrained.knn}
