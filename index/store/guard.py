"""Checks of embeddings that are added to a library or searched for in it."""

import numpy as np

from sora_video.base.errors import FingerprintError, LibraryError
from sora_video.pretrain.encoders.embeddings import Embeddings, check_rows

from .manifest import Manifest

__all__ = ["check_added", "check_embeddings"]

NORM_TOLERANCE = 1e-3
"""Most that the length of an embedding may differ from 1."""


def check_embeddings(embeddings: Embeddings, what: str, manifest: Manifest) -> None:
    """Refuse embeddings that cannot be compared with those of a library.

    Args:
        embeddings: of videos to add, or of a query.
        what: names them in messages.
        manifest: of the library.

    Raises:
        FingerprintError: another encoder made them.
        LibraryError: they are of another dimension, or not L2-normalised.
    """
    if embeddings.fingerprint != manifest.fingerprint:
        raise FingerprintError(
            what,
            embeddings.fingerprint,
            manifest.fingerprint,
            "embed with the model that the library was built with, or build another library",
        )
    vectors = embeddings.vectors
    if vectors.shape[1] != manifest.dim:
        raise LibraryError(
            f"{what}: has dim={vectors.shape[1]}, the library has {manifest.dim}; embed the videos again"
        )
    norms = np.linalg.norm(vectors, axis=1)
    wrong = np.flatnonzero(~(np.abs(norms - 1) <= NORM_TOLERANCE))  # catches NaN too
    if len(wrong):
        name, length = embeddings.video_id[wrong[0]], norms[wrong[0]]
        remedy = "leave it out" if length == 0 else "L2-normalise it"
        raise LibraryError(f"{what}: a vector of {name} has length {length:g}, not 1; {remedy}")


def check_added(embeddings: Embeddings) -> None:
    """Refuse names, numbers and times that a library could not open again.

    Args:
        embeddings: of videos to add.

    Raises:
        LibraryError: there is one.
    """
    try:
        check_rows(embeddings)
    except ValueError as error:
        raise LibraryError(f"{error}; rename the file, or fix the embeddings") from error
