"""The command line's subcommands, one file each; torch is imported only when one runs."""
