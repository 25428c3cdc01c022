"""The checks of ``fastrot doctor``: probes collect facts, checks evaluate them.

Nothing here changes the machine. Every probe also returns a result if the thing it looks for is missing.
"""
