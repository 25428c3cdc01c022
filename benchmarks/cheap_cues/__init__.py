"""The study of cheap cues: when does the pretext teach, and when does it cheat?"""
