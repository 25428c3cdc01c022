"""Generated videos: figures that perform actions in front of scenes, and noise without content."""
