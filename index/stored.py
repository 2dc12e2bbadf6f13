"""A library as it lies on disk: what it ignores, whether it is whole, and all of it as a file."""

from collections.abc import Mapping
from pathlib import Path

from .opened import OpenedLibrary
from .store.export import export_library
from .store.ignored import barred
from .store.manifest import Ignored
from .verify import Verification, verify

__all__ = ["StoredLibrary"]


class StoredLibrary(OpenedLibrary):
    """A library of one folder as it was at one moment; :mod:`.library` has everything that changes it."""

    @property
    def folder(self) -> Path:
        """Where the library lies."""
        return self.path

    @property
    def ignored(self) -> tuple[Ignored, ...]:
        """Videos that are not added again, see :meth:`.Library.remove`."""
        return self._snapshot.manifest.ignored

    def barred(self, contents: Mapping[str, str]) -> set[str]:
        """The videos among some that would not be added.

        Args:
            contents: SHA-256 of the content by video, see :meth:`contents`; empty where it is unknown.
        """
        return barred(self._snapshot.manifest, contents)

    def verify(self) -> Verification:
        """Read every byte on the disk, and compare the parts with each other.

        Raises:
            LibraryError: the manifest is damaged.
        """
        return verify(self.path)

    def export(self, path: str | Path) -> None:
        """Write all that is visible as one Parquet file; see :meth:`Library.from_export`.

        Args:
            path: the file; its name ends in ``.parquet``.

        Raises:
            LibraryError: the file is not named ``.parquet``, or the library is damaged.
            StorageError: the disk refused the write.
        """
        export_library(self._snapshot, Path(path).expanduser())
