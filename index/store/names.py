"""Names of videos that a library lets in."""

__all__ = ["check_video_id"]


def check_video_id(video_id: object) -> None:
    """Refuse what cannot name a file.

    Names may hold any other text: file names do, and a manifest of videos may name files anywhere.

    Args:
        video_id: of a library.

    Raises:
        ValueError: it is empty or no text, or holds a zero character.
    """
    if not isinstance(video_id, str) or not video_id or "\0" in video_id:
        raise ValueError(f"video {video_id!a}: is no name of a file")
