"""Loads batches of clips from a store with reader threads and DALI (section 4.2)."""
