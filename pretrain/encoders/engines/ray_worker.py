"""What an actor of Ray runs."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sora_video.base.errors import FingerprintError, SoraError
from sora_video.pretrain.video.corpus import Corpus, Video

from ..embed import embed_videos
from ..embeddings import Embeddings

if TYPE_CHECKING:
    from ..frozen import VideoEncoder

__all__ = ["Worker"]


class Worker:
    """Decodes and embeds batches of videos; the encoder is loaded for the first one.

    Args:
        model: an absolute model spec.
        by: see :class:`..frozen.VideoEncoder`.
        fingerprint: of the encoder that is wanted.
        root: of the corpus.
        readers: processes that decode.
    """

    def __init__(self, model: str, by: str | None, fingerprint: str, root: str, readers: int) -> None:
        self.model, self.by, self.fingerprint = model, by, fingerprint
        self.root, self.readers = root, readers
        self.encoder: VideoEncoder | None = None

    def __call__(self, batch: pa.Table) -> dict[str, NDArray[np.object_]]:
        """Embed a batch.

        Args:
            batch: a row a video, see :data:`.ray_data.ROWS`.

        Returns:
            One row, so that Ray has the whole answer or none of it: the tables of the videos, or an error
            that the user can fix, which Ray would wrap if it were raised.
        """
        answer = np.empty(1, object)
        try:
            answer[0] = self.embed(batch)
        except SoraError as error:
            answer[0] = error
        return {"answer": answer}

    def embed(self, batch: pa.Table) -> list[Embeddings]:
        """The tables of a batch's videos."""
        self.encoder = self.encoder or self.load()
        videos = [
            Video(
                video_id=row["video_id"],
                path=Path(os.fsdecode(span["path"])),
                start_s=span["start_s"],
                end_s=span["end_s"],
            )
            for row in batch.to_pylist()
            for span in row["spans"]
        ]
        return list(embed_videos(Corpus(Path(self.root), tuple(videos)), self.encoder))

    def load(self) -> "VideoEncoder":
        """Load the encoder as this machine has it."""
        from ..load import load_encoder

        encoder = load_encoder(self.model, by=self.by)
        if encoder.fingerprint != self.fingerprint:
            raise FingerprintError(
                f"model {self.model} of {os.uname().nodename}",
                encoder.fingerprint,
                self.fingerprint,
                "let all machines of the cluster have the same",
            )
        encoder.data = encoder.config.data.model_copy(update={"workers": self.readers})
        return encoder
