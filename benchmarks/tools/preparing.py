"""Speed of prepare's transcoding on one core, compared with the FFmpeg program.

Run: python -m benchmarks.tools.preparing VIDEOS

Both decode every video on one thread, keep every frame, stretch it to 136x136 and encode JPEGs of
quality 2 in 4:4:4. The time of FFmpeg includes the start of its process, once per video. The
figures are medians of interleaved repeats. A missing ``ffmpeg`` program is reported.
"""

import json
import shutil
import statistics
import subprocess
import time
from pathlib import Path

from fastrot.commands.arguments import Parser
from pipelines.layouts import read_layout
from pipelines.prepare.transcode import Job, transcode
from pipelines.store.reading import Settings

SIZE = 136


def with_prepare(paths: list[Path]) -> int:
    """Transcode in this process, like a worker of prepare; return the number of frames."""
    settings = Settings("mjpeg", SIZE, None, "folder", quality=2)
    return sum(transcode(Job(path, settings)).frames for path in paths)


def with_ffmpeg(paths: list[Path]) -> None:
    """Transcode with the FFmpeg program on one thread."""
    for path in paths:
        options = f"-vf scale={SIZE}:{SIZE}:flags=bilinear -pix_fmt yuvj444p -threads 1"
        options += " -filter_threads 1 -q:v 2 -vsync passthrough -f mjpeg -y /dev/null"
        source = ["ffmpeg", "-v", "error", "-threads", "1", "-i", str(path)]
        subprocess.run([*source, *options.split()], check=True)


def main() -> None:
    """Measure and print the figures."""
    parser = Parser(prog="python -m benchmarks.tools.preparing", description="Measure transcoding.")
    parser.add_argument("videos", type=Path, metavar="VIDEOS", help="folder of videos")
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each program")
    args = parser.parse_args()
    paths = [entry.path for entry in read_layout(args.videos, "folder").entries]
    has_ffmpeg = shutil.which("ffmpeg") is not None
    seconds: dict[str, list[float]] = {"prepare": [], "ffmpeg": []}
    frames = 0
    for _ in range(args.repeats):
        began = time.perf_counter()
        frames = with_prepare(paths)
        seconds["prepare"].append(time.perf_counter() - began)
        if has_ffmpeg:
            began = time.perf_counter()
            with_ffmpeg(paths)
            seconds["ffmpeg"].append(time.perf_counter() - began)
    for name, values in seconds.items():
        if values:
            rate = frames / statistics.median(values)
            print(json.dumps({"with": name, "frames": frames, "frames_per_core_s": round(rate, 1)}))
        else:
            print(json.dumps({"with": name, "not_here": "no ffmpeg on the PATH"}))


if __name__ == "__main__":
    main()
