"""The file in which torchrun looks for the cause when a process has failed."""

import json
import os
import time
import traceback
from pathlib import Path

from pipelines.errors import FastrotError, PreemptedError, first_line
from pipelines.files import write_file

VARIABLE = "TORCHELASTIC_ERROR_FILE"


def record_error(error: BaseException) -> None:
    """Write the cause for torchrun's summary; without torchrun, do nothing.

    This is the format of torch's ``ErrorHandler``, which cannot be called: importing torch takes seconds, and
    it would record a traceback in place of the message. An error of fastrot's own needs none.

    Args:
        error: The error that ends this process.
    """
    path = os.environ.get(VARIABLE)
    if not path:
        return
    # torchrun takes the process with the earliest time for the root cause.
    extra = {"timestamp": str(int(time.time()))}
    if isinstance(error, FastrotError):
        message = f"fastrot: error: {error}"
    elif isinstance(error, PreemptedError):
        message = (
            "fastrot: preempted: a checkpoint was saved, the same command with --resume continues"
        )
    elif isinstance(error, KeyboardInterrupt):
        message = "fastrot: interrupted"
    else:
        message = f"{type(error).__name__}: {first_line(error)}"
        extra["py_callstack"] = "".join(traceback.format_exception(error))
    try:
        write_file(Path(path), json.dumps({"message": {"message": message, "extraInfo": extra}}))
    except FastrotError:
        return  # the error itself matters more
