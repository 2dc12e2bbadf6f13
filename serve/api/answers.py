"""Answers in JSON."""

import json
from typing import Any

from fastapi import Response

from sora_video.base.plain import plain

__all__ = ["json_response"]


def json_response(value: Any, status: int = 200) -> Response:
    """A value as JSON, with the numbers that ``--json`` of the commands prints.

    Args:
        value: what :func:`sora_video.base.plain.plain` takes.
        status: of the answer.
    """
    text = json.dumps(plain(value), ensure_ascii=True, separators=(",", ":"))
    return Response(text, status, media_type="application/json")
