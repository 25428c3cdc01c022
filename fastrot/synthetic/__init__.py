"""The generator of videos: figures that act before scenes, and noise without content."""
