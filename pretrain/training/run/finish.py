"""The end of a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sora_video.base import console
from sora_video.base.errors import RunError
from sora_video.base.files import write_json, write_text
from sora_video.pretrain.encoders.fingerprint import fingerprint
from sora_video.pretrain.encoders.frozen import VideoEncoder
from sora_video.pretrain.encoders.registry import Encoder
from sora_video.pretrain.encoders.towers.stored import write_tower
from sora_video.pretrain.encoders.weights import write_weights
from sora_video.pretrain.encoders.whitening import unwhitened, whitened
from sora_video.pretrain.video.corpus import Corpus

from ..texts import TextLoss
from .card import model_card
from .folder import Run
from .journal import Journal
from .monitor import Look, Monitor

__all__ = ["Ending", "attempted", "finish"]


@dataclass(frozen=True)
class Ending:
    """What is written at the end of a run."""

    run: Run
    corpus: Corpus
    encoder: Encoder
    """With the weights to keep."""
    look: Look | None
    """The monitor's evaluation of these weights; None: it has yet to be made."""
    steps: int
    """That were taken."""
    planned: int
    """Steps that the run would have had, had it not been finished early."""
    unreadable: int
    """Videos that could not be read."""
    texts: TextLoss | None = None
    """What learnt the texts; None: nothing did."""


def finish(ending: Ending, monitor: Monitor | None, journal: Journal) -> None:
    """Write the metrics, the model card, the weights, and then the pictures.

    Args:
        ending: what to write.
        monitor: evaluates the weights; None: nothing does.
        journal: receives the map.

    Raises:
        CorpusError: the encoder is to be whitened, and no video can be read any more.
        RunError: no step was taken.
        StorageError: the disk is full.
    """
    run = ending.run
    log = [line for line in run.log() if "loss" in line]
    if not log:
        raise RunError(f"run {run.path}: no step could be taken; quarantine.json and events.jsonl say why")
    encoder = final_encoder(ending)
    look = ending.look if encoder is ending.encoder else None
    if monitor and not look:
        look = monitor.look(encoder)
    weights = encoder.state_dict()
    mark = fingerprint(weights, run.config.encoder, run.config.slice)
    metrics = {
        "fingerprint": mark,
        "videos": ending.corpus.files,
        "unreadable": ending.unreadable,
        "steps": ending.steps,
        **({"planned_steps": ending.planned} if ending.planned != ending.steps else {}),
        "parameters": sum(weight.numel() for weight in ending.encoder.parameters()),
        "loss": log[-1]["loss"],
        "clips_per_s": sum(line["clips_per_s"] for line in log) / len(log),
        "wait": sum(line["wait"] for line in log) / len(log),
        **({"texts": facts(ending.texts)} if ending.texts else {}),
        **({"knn": look.knn, "knn_untrained": monitor.untrained.knn} if monitor and look else {}),
    }
    write_json(run.path / "metrics.json", metrics)
    write_text(run.path / "README.md", model_card(run.config, ending.corpus, metrics))
    if ending.texts:
        write_tower(run.path, ending.texts.tower, run.config.text, mark)
    write_weights(run.path, weights, mark)
    if monitor and look:
        path = run.path / "map.png"
        with attempted(path):
            monitor.draw_map(look, path)
            journal.picture(ending.steps, "map", path)


def final_encoder(ending: Ending) -> Encoder:
    """The encoder as it is written: whitened, where the settings say so."""
    config = ending.run.config
    if not config.encoder.whiten:
        return ending.encoder
    plain = config.model_copy(update={"encoder": unwhitened(config.encoder)})
    device = str(next(ending.encoder.parameters()).device)
    trained = VideoEncoder(deepcopy(ending.encoder), plain, device)
    return whitened(trained, ending.corpus, config.encoder.whiten).network


def facts(learnt: TextLoss) -> dict[str, Any]:
    """What a run learnt of texts, in numbers."""
    return {
        "rows": learnt.texts.rows,
        "different": len(learnt.texts.different),
        "parameters": sum(weight.numel() for weight in learnt.parameters()),
        "temperature": learnt.tower.temperature.item(),
    }


@contextmanager
def attempted(picture: Path) -> Iterator[None]:
    """Draw a picture, on which no run depends: an error becomes a warning.

    Args:
        picture: the file, for the message.
    """
    try:
        yield
    except Exception as error:
        console.warn(f"{picture}: could not be drawn: {error}")
