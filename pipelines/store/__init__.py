"""The on-disk store: shards, manifest and checksums, and their maintenance."""
