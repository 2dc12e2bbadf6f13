"""What a file shows, by the product and by PyAV decoding forward; run by readers, as either may die."""

from pathlib import Path

import av
import numpy as np

from sora_video.pretrain.video.decode import open_forward, open_video

SIZE = 16


def small(picture):
    """A picture as 4 x 4 grey means."""
    grey = np.asarray(picture, np.float64).mean(2)
    height, width = (side // 4 * 4 for side in grey.shape)
    return grey[:height, :width].reshape(4, height // 4, 4, width // 4).mean((1, 3))


def product(path):
    """Times and small pictures of all frames, by random access backwards and by reading forward."""
    video, forward = open_video(Path(path), (SIZE, SIZE)), open_forward(Path(path), (SIZE, SIZE))
    numbers = np.arange(len(video.times))
    seen = {int(n): small(video.frames(np.array([n]))[0]) for n in numbers[::-1]}
    read = [small(picture) for picture in forward.frames(numbers)]
    yield video.times, np.stack([seen[n] for n in range(len(numbers))]), np.stack(read)


def sound_frames(path):
    """Frames that a strict decoder gives before it finds a fault; what follows a decoder makes up in part."""
    count = 0
    with av.open(f"file:{path}") as container:
        stream = next(s for s in container.streams.video)
        stream.thread_type = "NONE"
        stream.codec_context.options = {"err_detect": "crccheck+bitstream+buffer+explode"}
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                return count
            if packet.is_corrupt or any(frame.is_corrupt for frame in frames):
                return count
            count += len(frames)
    return count


def reference(path):
    """Stamps in seconds and small pictures, as PyAV decodes them from the start, and how many are sound."""
    times, pictures = [], []
    with av.open(f"file:{path}") as container:
        stream = next(s for s in container.streams.video)
        stream.thread_type = "NONE"  # with threads, what is made up for damage is another each time
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            for frame in frames:
                times.append(None if frame.pts is None else float(frame.pts * frame.time_base))
                pixels = frame.to_ndarray(format="rgb24", width=SIZE, height=SIZE, interpolation="BICUBIC")
                pictures.append(small(pixels))
    yield times, np.stack(pictures), sound_frames(path)
