"""The study of cheap cues: when the pretext task teaches motion, and when it can be solved by shortcuts."""
