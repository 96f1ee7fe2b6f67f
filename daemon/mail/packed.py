"""The two texts of a mail as they are kept: what they do not share with a made-up mail, packed.

Most of a mail is its template. Against a made-up one of the shipped templates, 23 KB become less than one; a mail from
templates of one's own becomes a fifth of its size. Exact: what comes out is what went in.
"""

from __future__ import annotations

import zlib
from pathlib import Path

PATTERN = Path(__file__).with_name("pattern-1.html").read_bytes()
"""A reminder in German, and its plain text. What is kept can be read with exactly these octets only: it is never
edited. Another one would be number 2, beside it."""
FIRST = b"\x01"
HEAD = 5
RAW, MEMORY, EFFORT = -15, 8, 3
"""The window is the largest there is (32 KiB), so that pattern and mail fit into it; no header, no checksum."""
blank = zlib.compressobj(EFFORT, zlib.DEFLATED, RAW, MEMORY, zdict=PATTERN)


def packed(html: str, text: str) -> bytes:
    """Number of the pattern, octets of the HTML (4, the highest first), then both, deflated (RFC 1951). Raises
    UnicodeError for half of a letter."""
    octets = html.encode()
    stream = blank.copy()
    return b"".join((FIRST, len(octets).to_bytes(4), stream.compress(octets + text.encode()), stream.flush()))


def unpacked(letter: bytes) -> dict[str, str]:
    """`html` and `text` as they were. Raises ValueError for what is none."""
    if letter[:1] != FIRST or len(letter) < HEAD:
        raise ValueError("not a packed mail")
    stream = zlib.decompressobj(RAW, zdict=PATTERN)
    try:
        octets = stream.decompress(letter[HEAD:])
    except zlib.error as error:
        raise ValueError(f"not a packed mail: {error}") from None
    if not stream.eof:
        raise ValueError("not a packed mail: it ends too early")
    length = int.from_bytes(letter[1:HEAD])
    return {"html": octets[:length].decode(), "text": octets[length:].decode()}
