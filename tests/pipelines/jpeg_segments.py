"""The header of a JPEG."""


def segments(jpeg: bytes) -> dict[int, bytes]:
    """Return the content of each header segment by its marker's second byte (the last one of each kind)."""
    assert jpeg[:2] + jpeg[-2:] == b"\xff\xd8\xff\xd9"
    found, at = {}, 2
    while jpeg[at + 1] != 0xDA:
        assert jpeg[at] == 0xFF
        size = int.from_bytes(jpeg[at + 2 : at + 4])
        found[jpeg[at + 1]] = jpeg[at + 4 : at + 2 + size]
        at += 2 + size
    return found
