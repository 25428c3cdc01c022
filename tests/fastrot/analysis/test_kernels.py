"""The sheet of kernels pixel by pixel, and the PNG writer against a reader that is not ours."""

import io

import av
import numpy as np
import torch

from fastrot.analysis.kernels import kernel_sheet
from fastrot.analysis.picture import encode_png


def test_every_slice_is_at_its_place():
    weight = torch.arange(3 * 3 * 2 * 2 * 2, dtype=torch.float32).reshape(3, 3, 2, 2, 2)
    sheet = kernel_sheet(weight, columns=2)
    # strips of 2 slices 2 wide, 1 apart: 7 wide; lines 4 high; 3 kernels in 2 columns make 2 lines
    assert sheet.shape == (2 * 4, 2 * 7, 3)
    for number, (top, left) in enumerate([(0, 0), (0, 7), (4, 0)]):
        kernel = weight[number].numpy()
        scaled = np.rint(255 * (kernel - kernel.min()) / (kernel.max() - kernel.min()))
        for time in range(2):
            at = left + 3 * time
            found = sheet[top : top + 2, at : at + 2]
            np.testing.assert_array_equal(found, scaled[:, time].transpose(1, 2, 0))
    assert (sheet[4:, 7:] == 255).all()  # no fourth kernel


def test_a_dead_kernel_is_black_instead_of_a_division_by_zero():
    assert kernel_sheet(torch.zeros(1, 3, 1, 2, 2))[:2, :2].max() == 0


def test_pngs_are_read_back_as_they_were():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    with av.open(io.BytesIO(encode_png(pixels)), format="png_pipe") as container:
        (frame,) = container.decode(video=0)
        np.testing.assert_array_equal(frame.to_ndarray(format="rgb24"), pixels)
