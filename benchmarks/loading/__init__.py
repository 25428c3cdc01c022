"""The cases, peers and limits of the loader's benchmark."""
