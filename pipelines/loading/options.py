"""How a loader works."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LoaderOptions:
    """How a loader works, but not which clips it gives.

    Attributes:
        threads: CPU threads of DALI, and of the reader for raw clips; other codecs' packets are read by at
            most four.
        prefetch: Batches prepared before they are asked for.
        hw_decoder_load: Share of an mjpeg store's frames that a GPU's hardware JPEG decoder takes, 0..1.
        check: Whether what is read is compared with the store's checksums.
    """

    threads: int = 2
    prefetch: int = 2
    hw_decoder_load: float = 0.65
    check: bool = True


DEFAULTS = LoaderOptions()
