"""Output of commands for a person."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sora_video.base.console import json_text, note
from sora_video.base.times import clock

from .table import print_table

if TYPE_CHECKING:
    from sora_video.index.duplicates import Group
    from sora_video.index.search.search import Hit
    from sora_video.pretrain.video.quarantine import Failure

__all__ = ["group_rows", "hit_rows", "print_failures", "print_json", "print_table"]


def print_json(value: Any) -> None:
    """The result of a command as JSON on standard output, with the fields that docs/reference/json.md names.

    Args:
        value: what :func:`sora_video.base.plain.plain` takes.
    """
    print(json_text(value, indent=2))


def hit_rows(hit: "Hit") -> list[dict[str, Any]]:
    """Rows of one hit: its parts that are parts of the query, else its moments.

    Args:
        hit: of a search.

    Returns:
        Rows to print.
    """
    leads = {"lead": hit.lead, **{f"by {name}": lead for name, lead in hit.leads.items()}}
    video = {
        **{name: "" if lead is None else lead for name, lead in leads.items()},
        "video": hit.video_id,
    }
    if hit.aligned:
        return [
            {
                **video,
                "likeness": part.likeness,
                "from": clock(part.start_s),
                "to": clock(part.end_s),
                "query from": clock(part.query_start_s),
                "query to": clock(part.query_end_s),
                "speed": f"{part.speed:.2f}",
            }
            for part in hit.aligned
        ]
    query = {"query from": clock(hit.query_start_s), "query to": clock(hit.query_end_s)}
    return [
        {
            **video,
            "likeness": part.likeness,
            "from": clock(part.start_s),
            "to": clock(part.end_s),
            **query,
        }
        for part in hit.moments
    ]


def group_rows(number: int, group: "Group") -> list[dict[str, Any]]:
    """The parts that the duplicates of one group share.

    Args:
        number: of the group.
        group: near-duplicates.

    Returns:
        Rows to print.
    """
    rows: list[dict[str, Any]] = []
    for pair in group.pairs:
        if not pair.spans:  # of videos without times
            names = {"group": number, "video": pair.query_id, "is in": pair.video_id}
            rows.append({**names, "likeness": pair.likeness})
        rows += [
            {
                "group": number,
                "video": pair.query_id,
                "from": clock(part.query_start_s),
                "to": clock(part.query_end_s),
                "is in": pair.video_id,
                "at": clock(part.start_s),
                "until": clock(part.end_s),
                "likeness": part.likeness,
                "speed": f"{part.speed:.2f}",
            }
            for part in pair.spans
        ]
    return rows


def print_failures(failures: "Sequence[Failure]", total: int) -> None:
    """Name on standard error every video that could not be read.

    Args:
        failures: what could not be read.
        total: videos that were to be read.
    """
    if not failures:
        return
    note(f"{len(failures)} of {total} videos could not be read:")
    for failure in failures:
        note(f"  {failure.video_id}: {failure.reason}")
