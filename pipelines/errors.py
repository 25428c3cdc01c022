"""The errors that are meant for people: the command line prints them without a traceback."""


class FastrotError(Exception):
    """Something outside the program is wrong: a file, a store, a machine. The command line exits with 1.

    The message says what is wrong, in which file or key, and what to do.

    Attributes:
        reported: another process of the run prints the same message, so this one need not.
    """

    reported = False


class PreemptedError(KeyboardInterrupt):
    """A signal other than Ctrl-C's asked to stop (SIGTERM, SIGHUP, SIGUSR1), and a checkpoint is written.

    The command line exits with 75, which sysexits.h calls "try again later".
    """


class UsageError(FastrotError):
    """The program was asked for something that it does not do. The command line exits with 2."""


class UnreadableError(FastrotError):
    """The system refused to read a file, which says nothing about the bytes in it: nothing is dropped for it.

    Attributes:
        errno: the system's number of the error, as of ``errno``.
    """

    def __init__(self, message: str, errno: int | None = None):
        super().__init__(message)
        self.errno = errno


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type's name where there is none."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__)
