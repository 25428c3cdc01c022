from dataclasses import replace

import pytest

from fastrot.distributed.agreement import agreement
from fastrot.distributed.runtime import Runtime


def test_a_single_process_agrees_with_itself(runtime: Runtime) -> None:
    with agreement(runtime) as highest:
        assert [highest(value) for value in (0, 2, 1)] == [0, 2, 1]


def test_on_gpus_the_value_is_that_of_the_step_before(runtime: Runtime, group: None) -> None:
    # Claiming two processes exchanges values as for several; the group has one.
    late = int(runtime.device.type == "cuda")
    with agreement(replace(runtime, world=2)) as highest:
        assert [highest(value) for value in (1, 2, 0)] == ([0, 1, 2] if late else [1, 2, 0])


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_ends_a_run_passes_through(
    runtime: Runtime, group: None, error: type[BaseException]
) -> None:
    def fail() -> None:
        with agreement(replace(runtime, world=2)) as highest:
            highest(1)
            raise error

    with pytest.raises(error):
        fail()
