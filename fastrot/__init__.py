"""fastrot: video pre-training by rotation prediction (3DRotNet, arXiv 1811.11387)."""

__version__ = "0.1.0"
