"""Makes video files of many kinds whose every frame and sound is known.

Each frame carries its number as a block code in its top strip, over moving texture; the sound is
silence with a burst of noise at 1 s and 2 s (a flash stands in the frames of these times). So what
a reader gives can be judged without another reader.

    python tools/conformance.py DIRECTORY       # makes the files and lists them
"""

import functools
import subprocess
import sys
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WIDTH_PX, HEIGHT_PX = 192, 128
NUM_FRAMES = 90
NUM_BITS = 12
RATE_HZ = 44100
DURATION_S = 3.0
BURSTS_S = (1.0, 2.0)
BURST_S = 0.02


@dataclass(frozen=True, kw_only=True)
class Case:
    """One kind of file: how it is made and what is true of it."""

    name: str
    suffix: str
    video: str
    """ffmpeg's options for the picture."""
    sound: str = "-c:a aac -b:a 128k"
    """ffmpeg's options for the sound; "" for none."""
    fps: str = "30"
    before: str = ""
    """ffmpeg's options before the raw pictures."""
    before_sound: str = ""
    after: str = ""
    """ffmpeg's options of the file."""
    start_s: float = 0.0
    """Time of frame number 0."""
    sound_shift_s: float = 0.0
    """How much later than frame number 0 the sound begins to run."""
    numbers: tuple[int, ...] = tuple(range(NUM_FRAMES))
    """Frames that the file holds."""
    keep_bytes: float = 1.0
    """Share of the file that is left, for truncated ones."""
    cut_from: str = ""
    """ffmpeg's input options for a stream copy of what the other options made."""
    tick_s: float = 1e-3
    """How exactly the container keeps times."""
    sound_end_s: float | None = None
    turns: int = 0
    """Quarter turns anticlockwise by which the file asks to be shown."""
    mirrored: bool = False
    truncated: bool = False
    """The number of frames left is not known beforehand."""

    def time_s(self, number: int) -> float:
        """Gives the true time of a frame."""
        top, _, bottom = self.fps.partition("/")
        return self.start_s + number * int(bottom or 1) / int(top)

    def number_of(self, picture: NDArray[np.uint8]) -> int:
        """Reads the number off an upright frame uint8 [3, H, W]; -1 where unreadable."""
        if self.mirrored:
            picture = picture[:, :, ::-1]
        return read_number(np.rot90(picture, -self.turns, axes=(1, 2)))

    @property
    def bursts_s(self) -> tuple[float, ...]:
        """True times of the bursts."""
        return tuple(
            self.start_s + self.sound_shift_s + time_s
            for time_s in BURSTS_S
            if self.sound_end_s is None or time_s < self.sound_end_s
        )


_X264 = "-c:v libx264 -preset veryfast -pix_fmt yuv420p"
_VFR = tuple(number for number in range(NUM_FRAMES) if number % 7 != 2)
_LATE = "-itsoffset 0.7"
CASES = (
    Case(name="h264 GOP 250", suffix="mp4", video=f"{_X264} -g 250 -bf 3"),
    Case(name="h264 GOP 15", suffix="mp4", video=f"{_X264} -g 15 -bf 2"),
    Case(name="h264 GOP 8, no B", suffix="mp4", video=f"{_X264} -g 8 -bf 0"),
    Case(
        name="h264 open GOP",
        suffix="mp4",
        video=f"{_X264} -x264-params open-gop=1:keyint=12:min-keyint=12:bframes=3:scenecut=0",
    ),
    Case(
        name="h264 intra refresh",
        suffix="mkv",
        video=f"{_X264} -x264-params intra-refresh=1:keyint=20",
    ),
    Case(name="h265", suffix="mp4", video="-c:v libx265 -preset ultrafast -x265-params "
         "log-level=error:keyint=24:bframes=3 -pix_fmt yuv420p"),
    Case(name="vp8 webm", suffix="webm", video="-c:v libvpx -cpu-used 8 -g 30 -b:v 800k "
         "-pix_fmt yuv420p", sound="-c:a libvorbis"),
    Case(name="vp9 webm", suffix="webm", video="-c:v libvpx-vp9 -cpu-used 8 -g 30 -b:v 500k "
         "-pix_fmt yuv420p -lag-in-frames 16 -auto-alt-ref 1 -row-mt 0", sound="-c:a libopus"),
    Case(name="av1", suffix="mp4", video="-c:v libsvtav1 -preset 12 -g 30 "
         "-pix_fmt yuv420p -svtav1-params lp=1"),
    Case(name="mjpeg mov", suffix="mov", video="-c:v mjpeg -q:v 3 -pix_fmt yuvj420p",
         sound="-c:a pcm_s16le"),
    Case(name="mpeg4 avi", suffix="avi", video="-c:v mpeg4 -q:v 4 -g 12", sound="-c:a pcm_s16le"),
    Case(name="mpeg4 avi, B-frames", suffix="avi", video="-c:v mpeg4 -q:v 4 -g 12 -bf 2",
         sound="-c:a pcm_s16le"),
    Case(name="mpeg4 avi, packed B-frames", suffix="avi", video="-c:v mpeg4 -q:v 4 -g 12 -bf 1 "
         "-b_strategy 0 -sc_threshold 1000000000", sound=""),
    Case(name="h264 MPEG-TS", suffix="ts", video=f"{_X264} -g 15 -bf 2",
         after="-output_ts_offset 5 -muxdelay 0 -muxpreload 0", start_s=5.0),
    Case(name="mpeg2 MPEG-TS", suffix="ts", video="-c:v mpeg2video -q:v 4 -g 12 -bf 2",
         sound="-c:a mp2", after="-output_ts_offset 5 -muxdelay 0 -muxpreload 0", start_s=5.0),
    Case(name="mpeg2 MPEG-PS", suffix="mpg", video="-c:v mpeg2video -q:v 4 -g 12 -bf 2",
         sound="-c:a mp2", after="-f vob -output_ts_offset 2 -muxdelay 0 -muxpreload 0",
         start_s=2.0),
    Case(name="h264 mkv", suffix="mkv", video=f"{_X264} -g 30 -bf 3"),
    Case(name="wmv", suffix="wmv", video="-c:v wmv2 -q:v 4 -g 12", sound="-c:a wmav2",
         start_s=0.046),
    Case(name="flv", suffix="flv", video="-c:v flv -q:v 4 -g 12", sound="-c:a libmp3lame",
         start_s=0.025),
    Case(name="variable rate mp4", suffix="mp4", video=f"{_X264} -g 30 -bf 2 -vf "
         "select='not(eq(mod(n\\,7)\\,2))' -fps_mode passthrough", numbers=_VFR),
    Case(name="variable rate mkv", suffix="mkv", video=f"{_X264} -g 30 -bf 2 -vf "
         "select='not(eq(mod(n\\,7)\\,2))' -fps_mode passthrough", numbers=_VFR),
    Case(name="23.976 fps", suffix="mp4", video=f"{_X264} -g 30", fps="24000/1001"),
    Case(name="29.97 fps", suffix="mkv", video=f"{_X264} -g 30", fps="30000/1001"),
    Case(name="start at 5 s, mkv", suffix="mkv", video=f"{_X264} -g 30",
         after="-output_ts_offset 5", start_s=5.0),
    Case(name="cut by stream copy, mkv", suffix="mkv", video=f"{_X264} -g 15 -bf 2",
         cut_from="-ss 1.01 -copyts", numbers=tuple(range(15, NUM_FRAMES))),
    Case(name="edit list", suffix="mp4", video=f"{_X264} -g 250 -bf 2", cut_from="-ss 0.5",
         start_s=-0.5, numbers=tuple(range(15, NUM_FRAMES))),
    Case(name="sound 0.7 s late", suffix="mp4", video=f"{_X264} -g 30", before_sound=_LATE,
         sound_shift_s=0.7),
    Case(name="sound 0.7 s late, mkv", suffix="mkv", video=f"{_X264} -g 30", before_sound=_LATE,
         sound_shift_s=0.7),
    Case(name="sound 0.5 s early", suffix="mp4", video=f"{_X264} -g 30", before="-itsoffset 0.5",
         start_s=0.5, sound_shift_s=-0.5),
    Case(name="sound ends early", suffix="mp4", video=f"{_X264} -g 30",
         sound="-c:a aac -b:a 128k -af atrim=end=1.7", sound_end_s=1.7),
    Case(name="no sound", suffix="mp4", video=f"{_X264} -g 30", sound=""),
    Case(name="turned 90", suffix="mp4", video=f"{_X264} -g 30", cut_from="-display_rotation 90",
         turns=1),
    Case(name="turned 180", suffix="mp4", video=f"{_X264} -g 30", cut_from="-display_rotation 180",
         turns=2),
    Case(name="turned 270", suffix="mp4", video=f"{_X264} -g 30", cut_from="-display_rotation 270",
         turns=3),
    Case(name="mirrored", suffix="mp4", video=f"{_X264} -g 30", cut_from="-display_hflip",
         mirrored=True),
    Case(name="odd size", suffix="webm", video="-c:v libvpx-vp9 -cpu-used 8 -g 30 -vf "
         "scale=177:123 -pix_fmt yuv420p -b:v 800k", sound="-c:a libopus"),
    Case(name="wide pixels", suffix="mp4", video=f"{_X264} -g 30 -vf setsar=4/3"),
    Case(name="10 bit h264", suffix="mp4", video="-c:v libx264 -preset veryfast -g 30 "
         "-pix_fmt yuv420p10le"),
    Case(name="10 bit h265", suffix="mkv", video="-c:v libx265 -preset ultrafast -x265-params "
         "log-level=error:keyint=24 -pix_fmt yuv420p10le"),
    Case(name="truncated mp4", suffix="mp4", video=f"{_X264} -g 15 -bf 2",
         after="-movflags +faststart", keep_bytes=0.6, truncated=True),
    Case(name="truncated mkv", suffix="mkv", video=f"{_X264} -g 15 -bf 2", keep_bytes=0.6,
         truncated=True),
)  # fmt: skip


def frame_picture(number: int, *, width: int = WIDTH_PX, height: int = HEIGHT_PX) -> NDArray:
    """Draws frame `number`: uint8 [height, width, 3]."""
    texture = _texture()
    shift = 3 * number
    picture = np.roll(texture, (shift % HEIGHT_PX, shift), axis=(0, 1))[:height, :width].copy()
    strip = height // 8
    bits = [(number >> bit) & 1 for bit in range(NUM_BITS)]
    picture[:strip] = np.repeat(np.asarray(bits, np.uint8) * 255, width // NUM_BITS)[None, :, None]
    if any(abs(number / 30 - time_s) < 1 / 60 for time_s in BURSTS_S):
        picture[-strip:] = 255  # the flash
    return picture


def read_number(picture: NDArray[np.uint8]) -> int:
    """Reads the number off an upright frame uint8 [3, H, W] of any size; -1 where unreadable."""
    _, height, width = picture.shape
    strip = picture[:, : max(1, height // 8)].mean(axis=0)
    rows = strip[len(strip) // 4 : max(1, 3 * len(strip) // 4 + 1)].mean(axis=0)
    number = 0
    for bit in range(NUM_BITS):
        low, high = width * (bit + 0.25) / NUM_BITS, width * (bit + 0.75) / NUM_BITS
        value = rows[int(low) : max(int(low) + 1, int(high))].mean()
        if 85 < value < 170:
            return -1
        number |= int(value > 127) << bit
    return number


def burst_error_s(samples: NDArray[np.float32], *, rate_hz: int, start_s: float, true_s: float):
    """Gives how much later than `true_s` the burst stands in mono `samples` (nan: not there)."""
    import soxr

    pattern = soxr.resample(_burst(), RATE_HZ, rate_hz)
    match = np.correlate(samples, pattern, mode="valid")
    if match.size == 0 or match.max() < 0.3 * float((pattern**2).sum()):
        return float("nan")
    return start_s + int(match.argmax()) / rate_hz - true_s


def make_files(directory: Path, cases: Sequence[Case] = CASES) -> dict[str, Path]:
    """Makes the files; gives name → path. Kinds that this ffmpeg cannot make raise."""
    directory.mkdir(parents=True, exist_ok=True)
    raw, sound = directory / "pictures.rgb", directory / "sound.wav"
    raw.write_bytes(b"".join(frame_picture(number).tobytes() for number in range(NUM_FRAMES)))
    samples = np.zeros(round(DURATION_S * RATE_HZ), dtype=np.float32)
    for time_s in BURSTS_S:
        at = round(time_s * RATE_HZ)
        samples[at : at + len(_burst())] = _burst()
    with wave.open(str(sound), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(RATE_HZ)
        stream.writeframes((samples * 32767).astype("<i2").tobytes())
    return {case.name: _make(case, directory, raw, sound) for case in cases}


def _make(case: Case, directory: Path, raw: Path, sound: Path) -> Path:
    stem = "".join(letter if letter.isalnum() else "_" for letter in case.name)
    path = directory / f"{stem}.{case.suffix}"
    first = directory / f"whole_{stem}.{case.suffix}" if case.cut_from else path
    heard = f"{case.before_sound} -i {sound}" if case.sound else ""
    size = f"{WIDTH_PX}x{HEIGHT_PX}"
    _ffmpeg(
        f"{case.before} -f rawvideo -pix_fmt rgb24 -s {size} -framerate {case.fps} -i {raw} "
        f"{heard} "
        f"{case.video} {case.sound} -threads 1 {case.after} {first}"
    )
    if case.cut_from:
        copyts = "-copyts" if "-copyts" in case.cut_from else ""
        options = case.cut_from.replace("-copyts", "")
        _ffmpeg(f"{options} {copyts} -i {first} -map 0 -c copy {path}")
        first.unlink()
    if case.keep_bytes < 1:
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * case.keep_bytes)])
    if "packed" in case.name:
        _pack_b_frames(path)
    return path


def _pack_b_frames(path: Path) -> None:
    """Rewrites an MPEG-4 AVI as DivX 5 and Xvid do (UCF101 is of this kind).

    A packet holds a P-frame and the B-frame shown before it; a placeholder follows.
    """
    import av

    with av.open(str(path)) as source:
        stream = source.streams.video[0]
        chunks = [bytes(packet) for packet in source.demux(stream) if packet.size]
        packed: list[bytes] = []
        for chunk in chunks:
            at = chunk.index(b"\x00\x00\x01\xb6")
            if chunk[at + 4] >> 6 == 2:  # a B-frame
                packed[-1] += chunk
                packed.append(b"\x00\x00\x01\xb6\x57\x0a\x80")
            else:
                packed.append(chunk)
        at = packed[0].index(b"\x00\x00\x01\xb6")
        mark = b"\x00\x00\x01\xb2DivX503b1393p"
        packed[0] = packed[0][:at] + mark + packed[0][at:]
        with av.open(str(path) + ".avi", "w") as target:
            copy = target.add_stream_from_template(stream)
            for number, chunk in enumerate(packed):
                packet = av.Packet(chunk)
                packet.stream = copy
                packet.time_base = stream.time_base or Fraction(1, 30)
                packet.pts = packet.dts = number
                packet.is_keyframe = chunk[chunk.index(b"\x00\x00\x01\xb6") + 4] >> 6 == 0
                target.mux(packet)
    Path(str(path) + ".avi").replace(path)


def _ffmpeg(arguments: str) -> None:
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y"]
    done = subprocess.run([*command, *_split(arguments)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ffmpeg {arguments}: {done.stderr.strip()}")


def _split(arguments: str) -> list[str]:
    return [part.replace("'", "") for part in arguments.split()]


@functools.cache
def _texture() -> NDArray[np.uint8]:
    rng = np.random.default_rng(7)
    coarse = rng.integers(30, 220, (HEIGHT_PX // 16, WIDTH_PX // 16, 3))
    return np.asarray(coarse.repeat(16, 0).repeat(16, 1), dtype=np.uint8)


@functools.cache
def _burst() -> NDArray[np.float32]:
    rng = np.random.default_rng(11)
    noise = rng.normal(size=round(BURST_S * RATE_HZ))
    smooth = np.convolve(noise, np.hanning(9) / np.hanning(9).sum(), mode="same")
    return np.asarray(0.5 * smooth / np.abs(smooth).max(), dtype=np.float32)


def main() -> None:
    for name, path in make_files(Path(sys.argv[1])).items():
        print(f"{name:32} {path}  {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
