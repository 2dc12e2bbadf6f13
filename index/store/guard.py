"""What a library lets in: embeddings that can be compared with its own."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import FingerprintError, LibraryError
from sora_video.pretrain.encoders.embeddings import Embeddings

from .manifest import Manifest

__all__ = ["check_embeddings", "check_names", "check_top", "check_vectors"]

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
    check_vectors(
        embeddings.vectors, what, manifest.dim, lambda row: f"a vector of {embeddings.video_id[row]}"
    )


def check_vectors(
    vectors: NDArray[np.float32], what: str, dim: int, name: Callable[[int], str] = "vector {}".format
) -> None:
    """Refuse (N, D) vectors of another dimension, or that are not L2-normalised.

    Args:
        vectors: to add, or to search with.
        what: names them in messages.
        dim: the library's.
        name: of a row, in messages.

    Raises:
        LibraryError: they are refused.
    """
    if vectors.ndim != 2 or vectors.shape[1] != dim:
        raise LibraryError(
            f"{what}: has dim={vectors.shape[-1]}, the library has {dim}; embed the videos again"
        )
    norms = np.linalg.norm(vectors, axis=1)
    wrong = np.flatnonzero(~(np.abs(norms - 1) <= NORM_TOLERANCE))  # catches NaN too
    if len(wrong):
        raise LibraryError(
            f"{what}: {name(int(wrong[0]))} has length {norms[wrong[0]]:g}, not 1; L2-normalise it"
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


def check_top(top: int) -> None:
    """Refuse a search for no video.

    Raises:
        LibraryError: ``top`` is below 1.
    """
    if top < 1:
        raise LibraryError(f"top={top}: must be at least 1; ask for one video or more")
