"""How many threads a loader has where none are configured."""

import pytest

from pipelines.loading.options import default_threads


@pytest.mark.parametrize(
    ("cores", "device", "threads"),
    [(2, "cuda", 2), (16, "cuda", 16), (224, "cuda", 16), (2, "cpu", 2), (224, "cpu", 224)],
)
def test_threads_are_the_cores_and_few_with_a_gpu(cores, device, threads):
    assert default_threads(cores, device) == threads
