"""The list of files that could not be read, by name and reason."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from sora_video.base.errors import CorpusError
from sora_video.base.files import write_json

__all__ = ["Failure", "Quarantine"]


@dataclass(frozen=True)
class Failure:
    """One file that could not be read."""

    video_id: str
    reason: str

    @property
    def told(self) -> str:
        """The same in words, as pages have it."""
        return f"{self.video_id} could not be read: {self.reason}"


@dataclass
class Quarantine:
    """Collects failures and stops a run that has too many.

    Args:
        total: files in the corpus, however many spans of each it names.
        max_fraction: fraction of the files that may fail.
    """

    total: int
    max_fraction: float = 1.0
    failures: dict[str, Failure] = field(default_factory=dict)

    def add(self, failure: Failure) -> None:
        """Record a failure; a file counts once, whichever of its spans failed.

        Args:
            failure: the first one of a video is kept.

        Raises:
            CorpusError: more than the stated fraction has failed.
        """
        self.failures.setdefault(failure.video_id, failure)
        bad = len(self.failures)
        if bad > self.allowed:
            raise CorpusError(
                f"{bad} of {self.total} videos cannot be read, over {self.max_fraction:.0%}; the last is "
                f"{failure.video_id}: {failure.reason}; run `sora scan` or raise data.max_bad_fraction"
            )

    @property
    def allowed(self) -> float:
        """How many may fail: the fraction, and at least one unless the fraction is 0."""
        return max(1.0, self.max_fraction * self.total) if self.max_fraction > 0 else 0.0

    def read(self, path: Path) -> None:
        """Add the failures that an earlier part of the run wrote.

        Args:
            path: the JSON file; it may be missing.
        """
        if path.is_file():
            for entry in json.loads(path.read_text(encoding="utf-8")):
                self.failures.setdefault(entry["video_id"], Failure(**entry))

    def write(self, path: Path) -> None:
        """Write the failures as JSON; an empty list when all files were read.

        Args:
            path: the file; it is replaced if it exists.

        Raises:
            StorageError: the disk refused the write.
        """
        write_json(path, [vars(failure) for failure in self.failures.values()])
