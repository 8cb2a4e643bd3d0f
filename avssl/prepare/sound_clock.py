"""Does a sound track keep the time that its timestamps promise?"""

from av.error import FFmpegError

from avssl.decode.info import open_container


def sound_clock(path: str) -> dict[str, float] | None:
    """Compares the timestamps of the first sound track with its number of samples.

    Returns:
        {"start_s", "end_s": on the container's clock, by the timestamps; "drift_s": how much
        longer the timestamps last than the samples}, or None where there is no sound.
    """
    first_s = last_s = None
    num_before_last = num = 0
    rate_hz = 0
    with open_container(path) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        try:
            for frame in container.decode(stream):
                if frame.pts is None or frame.time_base is None or not frame.samples:
                    continue
                time_s = float(frame.pts * frame.time_base)
                rate_hz = frame.sample_rate
                first_s = time_s if first_s is None else first_s
                last_s, num_before_last = time_s, num
                num += frame.samples
        except FFmpegError:
            pass  # damaged: what was heard counts
    if first_s is None or last_s is None or not rate_hz:
        return None
    return {
        "start_s": first_s,
        "end_s": last_s + (num - num_before_last) / rate_hz,
        "drift_s": (last_s - first_s) - num_before_last / rate_hz,
    }
