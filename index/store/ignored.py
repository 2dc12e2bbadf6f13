"""Videos that are not to come back to a library, known by keys of their names and contents.

A key is a salted SHA-256, so that the list of a library need not name what was purged from it. Who has the
list can still test whether a name that he guesses is on it.
"""

import hashlib
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from sora_video.base.errors import LibraryError

from .manifest import Ignored, Manifest

__all__ = ["barred", "ignore", "join", "lift", "without_names"]

LEAST_DIGITS = 6
"""Of a key that stands for a whole one."""


def ignore(manifest: Manifest, contents: Mapping[str, str]) -> Manifest:
    """Put videos on the list.

    Args:
        manifest: of the library.
        contents: SHA-256 of the content by video; empty where it is unknown.

    Returns:
        The manifest with the longer list.
    """
    salt = manifest.salt or secrets.token_hex(16)
    before = {entry.name_key: entry for entry in manifest.ignored}
    for name, content in sorted(contents.items()):
        name_key = key(salt, name)
        known = before[name_key].content_key if name_key in before else ""
        content_key = key(salt, content) if content else known
        before[name_key] = Ignored(name=name, name_key=name_key, content_key=content_key)
    return replace(manifest, salt=salt, ignored=tuple(before.values()))


def without_names(manifest: Manifest, videos: Collection[str]) -> Manifest:
    """Keep videos on the list without their names.

    Args:
        manifest: of the library.
        videos: those that are purged.
    """
    entries = (replace(entry, name=None) if entry.name in videos else entry for entry in manifest.ignored)
    return replace(manifest, ignored=tuple(entries))


def barred(manifest: Manifest, contents: Mapping[str, str]) -> set[str]:
    """The videos among some that are on the list, by name or by content.

    Args:
        manifest: of the library.
        contents: SHA-256 of the content by video; empty where it is unknown.
    """
    names = {(salt_of(manifest, entry), entry.name_key) for entry in manifest.ignored}
    same = {(salt_of(manifest, entry), entry.content_key) for entry in manifest.ignored}
    salts = {salt for salt, _ in names}
    return {
        name
        for name, content in contents.items()
        if any((salt, key(salt, name)) in names or (salt, key(salt, content)) in same for salt in salts)
    }


def join(manifests: Iterable[Manifest]) -> tuple[str, tuple[Ignored, ...]]:
    """The lists of several libraries as one.

    Args:
        manifests: of the libraries.

    Returns:
        A salt, and the entries; those of other salts keep theirs.
    """
    salt, joined = "", {}
    for manifest in manifests:
        salt = salt or manifest.salt
        for entry in manifest.ignored:
            own = salt_of(manifest, entry)
            joined[own, entry.name_key] = replace(entry, salt="" if own == salt else own)
    return salt, tuple(joined.values())


def salt_of(manifest: Manifest, entry: Ignored) -> str:
    """The salt of an entry's keys."""
    return entry.salt or manifest.salt


def lift(manifest: Manifest, wanted: Collection[str], library: Path) -> Manifest:
    """Take videos off the list.

    Args:
        manifest: of the library.
        wanted: their names, or first digits of the keys of their names.
        library: its folder, for the message.

    Returns:
        The manifest with the shorter list.

    Raises:
        LibraryError: one is not on it.
    """
    lifted: set[Ignored] = set()
    for name in wanted:
        found = set(named(manifest, name))
        if not found:
            raise LibraryError(
                f"library {library}: {name} is not ignored; see the list by `sora index ignored`"
            )
        lifted |= found
    return replace(manifest, ignored=tuple(entry for entry in manifest.ignored if entry not in lifted))


def named(manifest: Manifest, name: str) -> Iterable[Ignored]:
    """The entries that a name, or the first digits of its key, stands for."""
    for entry in manifest.ignored:
        short = len(name) >= LEAST_DIGITS and entry.name_key.startswith(name)
        if entry.name_key == key(salt_of(manifest, entry), name) or short:
            yield entry


def key(salt: str, text: str) -> str:
    """What a name or content is known by."""
    return hashlib.sha256(f"{salt} {text}".encode()).hexdigest()
