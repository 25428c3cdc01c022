"""Codecs are tried for real, and judged by whether training needs them."""

import pytest

from fastrot.doctor.trial_decoding import check_codecs, try_codec


@pytest.mark.parametrize("codec", ["raw", "mjpeg", "h264", "vp9"])
def test_every_codec_is_decoded_here_and_works(codec):
    assert try_codec(codec) == ""


def test_a_wrong_picture_is_no_success(monkeypatch):
    import pipelines.prepare.encode

    honest = pipelines.prepare.encode.encode

    def inverted(frames, *rest):
        return honest([255 - frame for frame in frames], *rest)

    monkeypatch.setattr(pipelines.prepare.encode, "encode", inverted)
    assert "the decoded image is wrong" in try_codec("raw")


def test_only_the_stores_codec_must_work():
    errors = {"raw": "", "mjpeg": "no", "h264": "no"}
    assert [check.stops for check in check_codecs(errors)] == [False] * 3
    assert [check.stops for check in check_codecs(errors, "h264")] == [False, False, True]
    assert all(check.stops for check in check_codecs({"raw": "no", "mjpeg": "no"}))


def test_a_container_without_the_video_capability_gets_the_remedy():
    h264, mjpeg = check_codecs({"h264": "no", "mjpeg": "no"})
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility,video" in h264.remedy
    assert "NVIDIA" not in mjpeg.remedy
