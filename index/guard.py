"""What a library lets in: embeddings that can be compared with its own."""

import numpy as np

from sora_video.configs.errors import FingerprintError, LibraryError
from sora_video.pretrain.embeddings import Embeddings

from .manifest import Manifest

__all__ = ["check_embeddings", "check_names"]

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
    if embeddings.dim != manifest.dim:
        raise LibraryError(
            f"{what}: has dim={embeddings.dim}, the library has {manifest.dim}; embed the videos again"
        )
    norms = np.linalg.norm(embeddings.vectors, axis=1)
    wrong = np.flatnonzero(~(np.abs(norms - 1) <= NORM_TOLERANCE))  # catches NaN too
    if len(wrong):
        raise LibraryError(
            f"{what}: a vector of {embeddings.video_id[wrong[0]]} has length {norms[wrong[0]]:g}, not 1; "
            "L2-normalise it"
        )


def check_names(embeddings: Embeddings) -> None:
    """Refuse videos whose file names are no text, which neither table nor manifest can hold.

    Raises:
        LibraryError: there is one.
    """
    for video_id in embeddings.videos():
        try:
            video_id.encode()
        except UnicodeEncodeError as error:
            raise LibraryError(f"video {video_id!a}: its name is not UTF-8; rename the file") from error
