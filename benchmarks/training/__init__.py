"""The cases of the training benchmark."""
