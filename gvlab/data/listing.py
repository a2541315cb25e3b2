"""What lies in a folder of pictures: which files are pictures, what may lie beside them, and what is neither."""

from __future__ import annotations

from collections import Counter

from gvlab.data import picture_file

SUFFIXES = tuple(suffix for suffixes in picture_file.FORMATS.values() for suffix in suffixes)
SYSTEM_FILES = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx")
"""What Windows and macOS leave in folders without hiding it by a dot."""
TEXTS = (".txt", ".md", ".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml", ".xml", ".html", ".log")
"""What may lie beside pictures because it cannot be one."""
KINDS = "PNG, JPEG, WebP or BMP"


def is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM_FILES


def of_suffix(suffix: str) -> str:
    """As `counted` takes it."""
    return f"of {suffix}" if suffix else "without a suffix"


def counted(kinds: Counter[str]) -> list[str]:
    """Such as ["50 files of .tif", "1 file without a suffix"], the most frequent first."""
    return [f"{count} file{'s' * (count > 1)} {kind}" for kind, count in kinds.most_common()]


def in_words(parts: list[str], most: int = 4) -> str:
    """Such as "50 files of .tif, 1 file of .gif and 1 file without a suffix", on one line."""
    shown = [" ".join(part.split()) for part in parts[:most]]
    shown += [f"{len(parts) - most} more"] if len(parts) > most else []
    return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))
