"""The subcommands of the command line, one file each. Torch is imported only when a command runs."""
