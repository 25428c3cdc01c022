import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
from fastrot.distributed.allocator import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.empty(64 << 20, dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.set_num_threads(1)
usual = faults()
accepted = keep_freed_memory()
for _ in range(10):
    faults()  # takes the memory that it then keeps; a few rounds may pass until the pieces fit
print(usual, int(accepted), faults())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_freed_memory_is_kept_for_the_next_step() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True
    )
    usual, accepted, kept = map(int, done.stdout.split())
    if not accepted:
        pytest.skip("another C library")
    assert kept * 10 < usual
