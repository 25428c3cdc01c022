"""CRC-32 of stored bytes: by ISA-L if it is installed, otherwise by zlib, with equal values.

Where FFmpeg decodes on the same thread, ``zlib.crc32`` is used. On processors with AVX-512, ISA-L returns
with dirty upper halves of the vector registers, and FFmpeg's H.264 decoder, whose SSE code never clears them,
then takes 1.6 times as long.
"""

try:
    from isal.isal_zlib import crc32
except ImportError:  # borrowed machines may lack it
    from zlib import crc32

__all__ = ["crc32"]
