"""Give an encoder away: write it in a format that others read, with all that they need to know."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from sora_video.base.errors import ConfigError, RunError, SoraError
from sora_video.base.files import write_json, write_text
from sora_video.base.folders import check_new, new_folder
from sora_video.pretrain.video.corpus import Corpus, Source, open_corpus

from ..frozen import VideoEncoder
from ..load import load_encoder
from ..spec import Part, parse_spec
from ..weights import read_weights
from .card import card, lineage
from .format import Embed, Format, find_format
from .preprocessing import preprocessing
from .samples import samples

__all__ = ["TOLERANCE", "Checked", "export_encoder"]

TOLERANCE = 1e-4
"""Most by which a number of an embedding may differ from the encoder's own."""


class Checked(NamedTuple):
    """How an exported encoder was compared with the one that it was made from."""

    slices: int
    """On which they were compared."""
    difference: float
    """The greatest difference between two numbers of their embeddings."""


def export_encoder(model: str | Path, out: str | Path, format: str, check: Source | None = None) -> Checked:
    """Export an encoder, and compare its embeddings with those of the copy that was written.

    Beside the encoder, the folder has ``preprocessing.json``, which says how slices are made of a film, and
    ``README.md``.

    Args:
        model: spec of one encoder: a run folder or a published encoder.
        out: the folder; it must not exist, or be empty. It appears whole or not at all.
        format: ``"onnx"``, ``"torch"`` or ``"hf"``; see :data:`.format.FORMATS`.
        check: a corpus whose slices they are compared on, beside noise and a synthetic film; None: none.

    Returns:
        On how many slices they were compared, and by how much they differ.

    Raises:
        ConfigError: the spec names several encoders, there is no such format, a package is missing, or the
            folder is not empty.
        CorpusError: a video of the corpus cannot be read.
        RunError: the copy's embeddings are others, or the run is not finished.
        StorageError: the disk refused the write.
    """
    part, written, out = one_part(model), find_format(format), check_new("--out", Path(out))
    corpus = None if check is None else open_corpus(check)
    encoder = load_encoder(model, "cpu")
    encoder.config = encoder.config.model_copy(update={"init": lineage(part, encoder.config)})
    with new_folder(out) as folder:
        copy = write(written, part, encoder, folder)
        checked = compare(encoder, copy, corpus)
        write_json(folder / "preprocessing.json", {**preprocessing(encoder), "check": checked._asdict()})
        write_text(folder / "README.md", card(part, encoder, written.usage))
    return checked


def one_part(model: str | Path) -> Part:
    """The one encoder that a spec names.

    Raises:
        ConfigError: it names several.
    """
    part, *others = parse_spec(model)
    if others:
        raise ConfigError(f"model {model}: several encoders cannot be exported as one; export each of them")
    return part


def weights_of(part: Part, encoder: VideoEncoder) -> Mapping[str, Tensor]:
    """An encoder's state by the names that its fingerprint is over; older runs have other names."""
    return read_weights(part.run) if part.run and not part.by else encoder.network.state_dict()


def write(written: Format, part: Part, encoder: VideoEncoder, folder: Path) -> Embed:
    """Write a copy and open it.

    Raises:
        RunError: the encoder does something that the format does not have.
    """
    try:
        written.write(encoder, weights_of(part, encoder), folder)
        return written.open(folder)
    except (SoraError, OSError):
        raise
    except Exception as error:  # exporters have many kinds of them
        line = " ".join(str(error).split())[:300]
        name = encoder.config.encoder.name
        raise RunError(
            f"model {part}: {name} cannot be written so: {line}; choose another --format"
        ) from error


def compare(encoder: VideoEncoder, copy: Embed, corpus: Corpus | None) -> Checked:
    """Embed the same slices with both.

    Raises:
        RunError: the embeddings differ.
    """
    count, most = 0, 0.0
    for slices in samples(encoder, corpus):
        difference = float(np.abs(copy(slices) - encoder.embed_slices(slices)).max())
        if not difference <= TOLERANCE:
            raise RunError(
                f"encoder {encoder.fingerprint[:12]}: embeddings of the copy differ from its own by "
                f"{difference:.1e}, more than {TOLERANCE:g}; choose another --format"
            )
        count, most = count + len(slices.frames), max(most, difference)
    return Checked(count, most)
