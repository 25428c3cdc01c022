"""Terminal output: progress, messages, and handling of a closed terminal."""
