"""DAVIS's layout on a tiny made-up set: palette masks, lists, what is refused."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avssl.errors import InputError
from avssl.labels.davis import find_davis, read_davis, read_mask, read_picture

PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0] + [0] * 756 + [224, 224, 192]


def write_sequence(root: Path, name: str, masks: list[np.ndarray]) -> None:
    pictures, labels = (root / kind / "480p" / name for kind in ("JPEGImages", "Annotations"))
    pictures.mkdir(parents=True)
    labels.mkdir(parents=True)
    for number, mask in enumerate(masks):
        shown = np.repeat((mask * 60 + 30).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
        Image.fromarray(shown).save(pictures / f"{number:05d}.jpg", quality=95)
        image = Image.fromarray(mask.astype(np.uint8), mode="P")
        image.putpalette(PALETTE)
        image.save(labels / f"{number:05d}.png")


def write_list(root: Path, *names: str, split: str = "val") -> None:
    folder = root / "ImageSets" / "2017"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{split}.txt").write_text("\n".join(names) + "\n")


def squares(num_frames: int = 5) -> list[np.ndarray]:
    masks = []
    for k in range(num_frames):
        mask = np.zeros((48, 64), dtype=np.uint8)
        mask[10:26, 6 + 2 * k : 22 + 2 * k] = 1
        mask[30:44, 40:54] = 2
        mask[0, 0] = 255
        masks.append(mask)
    return masks


def test_the_official_layout(tmp_path: Path) -> None:
    root = tmp_path / "DAVIS"
    write_list(root, "two-squares", "gone", "half")
    masks = squares()
    write_sequence(root, "two-squares", masks)
    write_sequence(root, "half", masks)
    for late in sorted((root / "Annotations" / "480p" / "half").iterdir())[1:]:
        late.unlink()
    assert find_davis(tmp_path) == find_davis(root) == root
    found = read_davis(tmp_path)
    (sequence,) = found.sequences
    assert sequence.name == "two-squares" and len(sequence.pictures) == 5
    assert [path.name for path in sequence.masks] == [f"{k:05d}.png" for k in range(5)]
    assert found.notes == (
        "1 sequences not masked frame by frame (such as half)",
        "1 sequences without files (such as gone)",
    )
    for path, mask in zip(sequence.masks, masks, strict=True):
        assert np.array_equal(read_mask(path), mask)  # numbers, not the palette's colours
    picture = read_picture(sequence.pictures[2])
    assert picture.shape == (3, 48, 64) and picture.dtype == np.uint8
    assert abs(int(picture[0, 16, 16]) - 90) < 6 and abs(int(picture[1, 40, 45]) - 150) < 6


def test_grey_masks_are_read_and_colours_refused(tmp_path: Path) -> None:
    mask = squares()[0]
    Image.fromarray(mask).save(tmp_path / "grey.png")
    assert np.array_equal(read_mask(tmp_path / "grey.png"), mask)
    Image.fromarray(np.repeat(mask[..., None], 3, axis=2)).save(tmp_path / "rgb.png")
    with pytest.raises(InputError, match="palette"):
        read_mask(tmp_path / "rgb.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "grey.png").read_bytes()[:60])
    with pytest.raises(InputError, match="not a readable PNG"):
        read_mask(tmp_path / "cut.png")
    with pytest.raises(InputError, match="not a readable JPEG"):
        read_picture(tmp_path / "grey.png")


def test_what_is_no_davis_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ImageSets/2017"):
        read_davis(tmp_path)
    write_list(tmp_path, "../../secrets")
    with pytest.raises(InputError, match="leads out"):
        read_davis(tmp_path)
    write_list(tmp_path, "gone")
    with pytest.raises(InputError, match="none of the 1"):
        read_davis(tmp_path)
    with pytest.raises(InputError, match="no such list"):
        read_davis(tmp_path, split="train")


def test_the_script_says_what_is_there(
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_list(tmp_path, "two-squares", "gone")
    write_sequence(tmp_path, "two-squares", squares(4))
    script = runpy.run_path(str(root / "datasets" / "davis" / "list_sequences.py"))
    monkeypatch.setattr("sys.argv", ["list_sequences.py", str(tmp_path)])
    assert script["main"]() == 0
    assert capsys.readouterr().out.splitlines() == [
        "two-squares: 4 frames, 2 objects",
        "1 sequences without files (such as gone)",
    ]
    monkeypatch.setattr("sys.argv", ["list_sequences.py", str(tmp_path), "--list", "train"])
    assert script["main"]() == 2
    assert "no such list" in capsys.readouterr().err
