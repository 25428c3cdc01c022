"""Errors that the command line prints without a traceback."""


class FastrotError(Exception):
    """An error outside the program: in a file, a store or the machine. The command line exits with 1.

    The message states what is wrong, in which file or key, and what to do.

    Attributes:
        reported: True if another process of the run prints the same message, so that this one does not.
    """

    reported = False


class PreemptedError(KeyboardInterrupt):
    """Training was stopped by SIGTERM, SIGHUP or SIGUSR1, and a checkpoint was written.

    The command line exits with 75 (EX_TEMPFAIL in sysexits.h: try again later).
    """


class UsageError(FastrotError):
    """An invalid or unsupported request. The command line exits with 2."""


class UnreadableError(FastrotError):
    """The operating system could not read a file. Its content may be intact, so no video is dropped.

    Attributes:
        errno: The system's error number, as in the module ``errno``.
    """

    def __init__(self, message: str, errno: int | None = None):
        super().__init__(message)
        self.errno = errno


def first_line(error: BaseException) -> str:
    """Return the first non-empty line of an error's message, or the name of its type."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__)
