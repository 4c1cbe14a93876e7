"""The `options` parameter of a start-up packet: command-line arguments of a backend, in one text.

Owns its splitting into arguments and settings (PostgreSQL's pg_split_opts and process_postgres_switches). Refuses to
judge a setting: the database does.
"""

from __future__ import annotations


def split_options(text: bytes) -> list[bytes]:
    """Split an `options` value into arguments: spaces separate, a backslash takes the next byte literally."""
    words: list[bytes] = []
    word = bytearray()
    inside = escaped = False
    for byte in text:
        if escaped:
            word.append(byte)
            escaped = False
        elif byte == 0x5C:
            inside = escaped = True
        elif byte in b" \t\n\r\v\f":
            if inside:
                words.append(bytes(word))
                word.clear()
            inside = False
        else:
            inside = True
            word.append(byte)
    if inside:
        words.append(bytes(word))
    return words


def parse_options(text: bytes) -> tuple[dict[bytes, bytes], list[bytes]]:
    """Settings (`-c name=value`, `--name=value`) of an `options` value, and the arguments that are something else."""
    settings: dict[bytes, bytes] = {}
    others: list[bytes] = []
    words = iter(split_options(text))
    for word in words:
        if word == b"-c":
            assignment = next(words, b"")
        elif word.startswith((b"--", b"-c")):
            assignment = word[2:]
        else:
            others.append(word)
            continue
        name, equals, value = assignment.partition(b"=")
        if not equals or not name:
            others.append(word + b" " + assignment if word == b"-c" else word)
            continue
        settings[name.replace(b"-", b"_")] = value
    return settings, others
