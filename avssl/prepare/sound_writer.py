"""Writes the prepared sound: mono 48 kHz of 16 bits, FLAC or WAV, with the byte of every packet."""

import wave
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.codec.context import Flags
from numpy.typing import NDArray

RATE_HZ = 48000
PACKET_NUM_SAMPLES = 4096
"""Samples in every packet but the last (85 ms): what a reader must fetch at least."""


class SoundWriter(Protocol):
    """One prepared sound track; feed it float32 samples in any portions."""

    def write(self, samples: NDArray[np.float32]) -> None:
        """Adds samples, float32 [n], full scale ±1 (louder is clipped)."""
        ...

    def close(self) -> dict[str, Any]:
        """Finishes the file and gives the `sound_…` cells of its catalogue row."""
        ...


def open_sound(path: Path) -> SoundWriter:
    """Opens a track; the suffix of its name says which kind."""
    return WavWriter(path) if path.suffix == ".wav" else FlacWriter(path)


def _words(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)


class WavWriter:
    """Samples as they are: twice the bytes of FLAC, read in a tenth of the time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = wave.open(str(path), "wb")  # noqa: SIM115 (closed by `close`)
        self._file.setnchannels(1)
        self._file.setsampwidth(2)
        self._file.setframerate(RATE_HZ)
        self._num_samples = 0

    def write(self, samples: NDArray[np.float32]) -> None:
        """See `SoundWriter`."""
        self._file.writeframesraw(_words(samples).astype("<i2").tobytes())
        self._num_samples += len(samples)

    def close(self) -> dict[str, Any]:
        """See `SoundWriter`."""
        self._file.close()
        num_bytes = self._path.stat().st_size
        header = num_bytes - 2 * self._num_samples
        starts = np.arange(0, self._num_samples, PACKET_NUM_SAMPLES)
        ends = np.minimum(starts + PACKET_NUM_SAMPLES, self._num_samples)
        return {
            "sound_num_bytes": num_bytes,
            "sound_suffix": ".wav",
            "sound_rate_hz": RATE_HZ,
            "sound_num_samples": self._num_samples,
            "sound_config": "",
            "sound_packet_offsets": (header + 2 * starts).tolist(),
            "sound_packet_num_bytes": (2 * (ends - starts)).tolist(),
            "sound_packet_num_samples": PACKET_NUM_SAMPLES,
        }


class FlacWriter:
    """FLAC in packets that can be read one by one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._container = av.open(str(path), "w", format="flac", options={"fflags": "+bitexact"})
        stream: Any = self._container.add_stream("flac", rate=RATE_HZ, layout="mono", format="s16")
        stream.codec_context.options = {
            "compression_level": "1",  # decodes in three quarters of the time of 5
            "frame_size": str(PACKET_NUM_SAMPLES),
        }
        stream.codec_context.flags |= Flags.bitexact
        self._stream = stream
        self._held = np.zeros(0, dtype=np.int16)
        self.num_samples = 0
        self._sizes: list[int] = []

    def write(self, samples: NDArray[np.float32]) -> None:
        """See `SoundWriter`."""
        held = np.concatenate([self._held, _words(samples)])
        whole = len(held) // PACKET_NUM_SAMPLES * PACKET_NUM_SAMPLES
        for at in range(0, whole, PACKET_NUM_SAMPLES):
            self._encode(held[at : at + PACKET_NUM_SAMPLES])
        self._held = held[whole:]

    def _encode(self, samples: NDArray[np.int16]) -> None:
        frame = AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        frame.pts = self.num_samples
        self.num_samples += len(samples)
        self._mux(self._stream.encode(frame))

    def _mux(self, packets: Any) -> None:
        for packet in packets:
            if packet.size:
                self._sizes.append(packet.size)
            self._container.mux(packet)

    def close(self) -> dict[str, Any]:
        """See `SoundWriter`."""
        if len(self._held):
            self._encode(self._held)
        self._mux(self._stream.encode(None))
        self._container.close()
        with self._path.open("rb") as stream:
            config = stream.read(8 + 34)[8:]  # STREAMINFO, after "fLaC" and its own header
        num_bytes = self._path.stat().st_size
        sizes = np.asarray(self._sizes, dtype=np.int64)
        header = num_bytes - int(sizes.sum())
        return {
            "sound_num_bytes": num_bytes,
            "sound_suffix": ".flac",
            "sound_rate_hz": RATE_HZ,
            "sound_num_samples": self.num_samples,
            "sound_config": config.hex(),
            "sound_packet_offsets": (header + np.cumsum(sizes) - sizes).tolist(),
            "sound_packet_num_bytes": sizes.tolist(),
            "sound_packet_num_samples": PACKET_NUM_SAMPLES,
        }
