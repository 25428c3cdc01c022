"""CRC-32 of stored bytes: by ISA-L if it is installed, otherwise by zlib, with equal values."""

try:
    from isal.isal_zlib import crc32
except ImportError:  # borrowed machines may lack it
    from zlib import crc32

__all__ = ["crc32"]
