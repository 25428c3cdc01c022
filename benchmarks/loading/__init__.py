"""Cases, peers and limits of the loader benchmark."""
