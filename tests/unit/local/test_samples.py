"""What the demo sends."""

from __future__ import annotations

from pathlib import Path

from earshot.local import samples


def test_all_are_there_small_and_accounted_for() -> None:
    folder = Path(samples.__file__).parent
    listed = {Path(sample.content) for sample in samples.recordings()}
    here = {path for path in folder.iterdir() if path.suffix in {".flac", ".opus", ".wav", ".mp3"}}
    told = (folder / "README.md").read_text()
    assert listed == here
    assert sum(path.stat().st_size for path in listed) < 600_000
    assert all(f"`{path.name}`" in told for path in listed)


def test_each_has_labels_to_choose_from() -> None:
    for sample in (*samples.recordings(), *samples.texts()):
        assert len(set(sample.labels)) == len(sample.labels) >= 2
        assert sample.content
