"""From a data set's video files to a store (section 4.1's preparation)."""
