"""What a server is started with."""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from sora_video.base.errors import ConfigError
from sora_video.pretrain.video.readers.limits import Limits

__all__ = ["Settings", "UploadLimits", "is_loopback", "state_folder"]


@dataclass(frozen=True, kw_only=True)
class UploadLimits:
    """What a client may send to be decoded."""

    megabytes: int = 512
    """Of all files of a request."""
    seconds: float = 600.0
    """Of a video."""
    pixels: int = 2**25
    """Of a picture, in a video or alone."""
    files: int = 300
    """Images of a request."""
    reading: Limits = field(default_factory=lambda: Limits(frame_s=15.0, video_s=180.0))
    """What a reader may take for an upload."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A server's settings.

    Raises:
        ConfigError: one is out of range.
    """

    library: Path
    state: Path
    """Folder of what the server keeps: its token, media that it made, jobs and uploads."""
    head: Path | None = None
    """A classifier's folder; None: there is none."""
    videos: Path | None = None
    """Folder of the library's videos; None: where they were added from."""
    follows: bool = False
    """Add what comes to the folder of videos."""
    takes_away: bool = False
    """Remove videos whose files are gone from that folder."""
    events: Path | None = None
    """Folder to which `sora watch --out` writes; None: there is none."""
    runs: Path | None = None
    """Folder of runs to show; None: there is none."""
    host: str = "127.0.0.1"
    port: int = 8000
    """0: any free one."""
    names: tuple[str, ...] = ()
    """Names that the server is reached by, besides localhost and addresses."""
    ask_token: bool = False
    """Ask for the token on a loopback address too."""
    read_only: bool = False
    """Refuse all that changes the library, labels or heads."""
    rate: float = 100.0
    """Requests a second of one address, four times as many at once; 0: any number."""
    request_s: float = 120.0
    """Most seconds for a request, its body among them; media, events and duplicates may take longer."""
    uploads: UploadLimits = field(default_factory=UploadLimits)
    cache_mb: int = 4096
    """Most disk space of previews, posters and strips."""

    def __post_init__(self) -> None:
        for name, value, least in (
            ("port", self.port, 0),
            ("rate", self.rate, 0),
            ("cache_mb", self.cache_mb, 16),
        ):
            if value < least:
                raise ConfigError(f"--{name.replace('_', '-')} {value:g}: must be at least {least}")
        if (self.follows or self.takes_away) and self.videos is None:
            raise ConfigError("--watch-folder: needs a folder; name it with --videos")
        if self.follows and self.read_only:
            raise ConfigError(
                "--watch-folder with --read-only: would change the library; leave one of them out"
            )
        if self.takes_away and not self.follows:
            raise ConfigError("--take-away: applies to --watch-folder; name both")
        if self.port > 65535:
            raise ConfigError(f"--port {self.port}: must be at most 65535")
        for name, folder, what in (
            ("videos", self.videos, "that of the library's videos"),
            ("head", self.head, "a classifier, which `sora classify train` writes"),
            ("runs", self.runs, "one that holds run folders"),
        ):
            if folder is not None and not folder.is_dir():
                raise ConfigError(f"--{name} {folder}: no such folder; name {what}")

    @property
    def uploads_folder(self) -> Path:
        """Where uploads are while they are searched for."""
        return self.state / "uploads"

    @property
    def needs_token(self) -> bool:
        """Whether clients must know the token."""
        return self.ask_token or not is_loopback(self.host)


def state_folder(library: Path) -> Path:
    """Where a server keeps its files unless another place is named: beside the library.

    Args:
        library: its folder.
    """
    library = library.expanduser().absolute()
    return library.with_name(f"{library.name}.serve")


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone.

    Args:
        host: a name or an address.
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
