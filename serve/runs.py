"""The runs of a folder, as clients see them: by opaque ids."""

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sora_video.base.errors import RunError
from sora_video.base.plain import plain

from .ids import opaque_id
from .refusals import MissingError, told

if TYPE_CHECKING:
    from sora_video.pretrain.training.run.summary import RunReport

__all__ = ["Runs"]

Stamps = dict[str, tuple[int, ...]]
"""By id of a run, what tells whether it has changed."""
WATCHED = ("log.jsonl", "metrics.json", "views.png", "map.png", "model.safetensors", "probe/metrics.json")


LOOK_S = 2.0
"""For which the folders of runs that were found are taken as all."""


class Runs:
    """Reads runs anew whenever they are asked for.

    Args:
        folder: of runs; None: there is none.
        key: of their ids.
    """

    def __init__(self, folder: Path | None, key: str) -> None:
        self.folder, self.key = folder, key.encode()
        self.found, self.looked_s = dict[str, tuple[str, Path]](), -math.inf

    def places(self) -> dict[str, tuple[str, Path]]:
        """Name and folder of each run, by id, as they were found not long ago."""
        from sora_video.pretrain.training.run.summary import find_runs

        now_s = time.monotonic()
        if self.folder is not None and now_s - self.looked_s > LOOK_S:
            found = find_runs(self.folder)
            self.found = {opaque_id(self.key, f"run {name}"): (name, path) for name, path in found}
            self.looked_s = now_s
        return self.found

    def place(self, run_id: str) -> tuple[str, Path]:
        """Name and folder of a run.

        Args:
            run_id: opaque.

        Raises:
            MissingError: there is none.
        """
        places = self.places()
        if run_id not in places:
            raise MissingError("there is no such run; ids come from the list of runs")
        return places[run_id]

    def list(self) -> list[dict[str, Any]]:
        """Every run in a few numbers, the one whose log was written last first.

        A run that cannot be read has nothing but its id, its name and ``error``.
        """
        found = [self.summary(run_id, *place) for run_id, place in self.places().items()]
        return sorted(found, key=lambda run: (-(run.get("changed_s") or 0), run["name"]))

    def summary(self, run_id: str, name: str, path: Path) -> dict[str, Any]:
        """A run of the list."""
        from sora_video.pretrain.training.run.summary import summarize_run

        try:
            return {"run_id": run_id, **plain(summarize_run(name, path)), "error": None}
        except (RunError, OSError) as error:
            return {"run_id": run_id, "name": name, "error": told(str(error), self.roots())}

    def report(self, run_id: str, points: int) -> dict[str, Any]:
        """All of a run.

        Args:
            run_id: opaque.
            points: most lines of its log.

        Raises:
            MissingError: there is none.
            RunError: it cannot be read.
        """
        from sora_video.pretrain.training.run.summary import read_run

        try:
            report: RunReport = read_run(*self.place(run_id), points)
        except OSError as error:
            raise MissingError(f"the run cannot be read now: {error.strerror}; try again") from error
        values: dict[str, Any] = self.hide(plain(report))
        return {"run_id": run_id, **values.pop("summary"), "error": None, **values}

    def picture(self, run_id: str, name: str) -> Path:
        """The file of a picture.

        Args:
            run_id: opaque.
            name: ``"views"`` or ``"map"``.

        Raises:
            MissingError: there is none.
        """
        from sora_video.pretrain.training.run.summary import is_own

        run = self.place(run_id)[1]
        if not is_own(run, f"{name}.png"):
            raise MissingError("there is no such picture")
        return run / f"{name}.png"

    def stamps(self) -> Stamps:
        """What tells whether runs have changed."""
        return {
            run_id: tuple(number for name in WATCHED for number in stamp(path / name))
            for run_id, (_, path) in self.places().items()
        }

    def roots(self) -> Iterator[str | Path]:
        """Folders that no answer may name."""
        if self.folder is not None:
            yield from (self.folder, self.folder.absolute())

    def hide(self, value: Any) -> Any:
        """Values without paths of the machine, such as those of a config."""
        if isinstance(value, str):
            return told(value, self.roots())
        if isinstance(value, Mapping):
            return {name: self.hide(each) for name, each in value.items()}
        return [self.hide(each) for each in value] if isinstance(value, list) else value


def stamp(path: Path) -> tuple[int, int]:
    """Size and time of a file; zeros where there is none."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns
