"""The on-disk store: shards, manifest, checksums, and the tools that look after them."""
