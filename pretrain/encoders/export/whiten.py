"""An encoder whitened with one's own video, in a folder of its own."""

from pathlib import Path

from sora_video.base.files import write_json, write_text
from sora_video.base.folders import check_new, new_folder
from sora_video.pretrain.video.corpus import Source, open_corpus

from ..frozen import VideoEncoder
from ..load import load_encoder
from ..whitening import whitened
from .card import card, lineage
from .export import one_part
from .hf import Folder
from .preprocessing import preprocessing

__all__ = ["POWER", "whiten_encoder"]

POWER = 0.4
"""By `python -m benchmarks.whitening`, on folds of training rows."""


def whiten_encoder(
    model: str | Path, source: Source, out: str | Path, power: float = POWER, device: str | None = None
) -> VideoEncoder:
    """Whiten an encoder's features with unlabelled video, and write it to a folder that ``--model`` takes.

    Args:
        model: spec of one encoder of sight: a run folder or a published encoder.
        source: the video, see :func:`sora_video.pretrain.video.corpus.open_corpus`.
        out: the folder; it must not exist, or be empty. It appears whole or not at all.
        power: by which power of their spread features are divided, above 0 and at most 1.
        device: torch device to compute on; None: a GPU if there is one.

    Returns:
        The encoder that was written. It has no text tower, whose space it has left.

    Raises:
        ConfigError: the spec names several encoders, one with an audio branch, or one that is whitened
            already; the power is out of range; or the folder is not empty.
        CorpusError: no slice could be read.
        RunError: the run is not finished.
        StorageError: the disk refused the write.
    """
    out, part, corpus = check_new("--out", Path(out)), one_part(model), open_corpus(source)
    encoder = load_encoder(model, device)
    encoder.config = encoder.config.model_copy(update={"init": lineage(part, encoder.config)})
    white = whitened(encoder, corpus, power)
    with new_folder(out) as folder:
        Folder().write(white, white.network.state_dict(), folder)
        write_json(folder / "preprocessing.json", preprocessing(white))
        write_text(folder / "README.md", card(part, white, Folder.usage))
    white.spec = str(out)
    return white
