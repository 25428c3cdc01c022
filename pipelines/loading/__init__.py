"""From a store's bytes to batches of clips, in threads and by DALI (section 4.2)."""
