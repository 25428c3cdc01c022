"""From a config to clips: which videos, which loader (sections 4.1 and 4.2)."""
