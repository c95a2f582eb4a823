"""Files of records, one of which is damaged: what each source should make of it.

A maker writes a file of sound texts and damages the record at one place. It says which records
must be written, by id, and what the place of the damaged one in the dead letters begins with.
"""

import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
from numpy.typing import NDArray

from latentspace import Metric
from latentspace.indexing.export_format import About
from latentspace.indexing.export_parquet import ParquetWriter
from latentspace.results.point import Point

Texts = dict[str, str]
Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Damaged:
    """A source with one damaged record.

    Args:
        sound: texts of the others, by id; or the bytes of their images, or their vectors.
        place: in the dead letters.
        options: of the command.
        ends: whether nothing behind the record can be read, so that `sound` ends before it.
    """

    path: Path
    sound: Mapping[str, str | bytes | Vectors]
    place: str
    options: Sequence[str] = ()
    ends: bool = False


Maker = Callable[[Path, list[str], int, int], Damaged]

_CSV = [
    b'"%b","quote "in the" middle"',
    b'"%b","letters"behind',
    b"%b,caf\xe9",
    b"%b,nul\0here",
    b"%b,carriage\rreturn",
    b"%b,too,many",
    b"%b",
    b"%b,",
    b'%b,"says "hi" and\nx1,not a row\nends"',
    b'"%b","not closed,"x"',
]
_JSONL = [
    b'{"id": "%b", "text": "caf\xe9"}',
    b'{"id": "%b", "text": "cut',
    b'["%b"]',
    b'{"id": "%b", "text": null}',
    b'{"id": "%b", "text": NaN}',
    b'{"id": "%b", "text": ["a"]}',
    b'{"id": "%b", "text": "half \\ud83d"}',
    b'{"id": "%b", "text": "a", "n": 1e999}',
    b'{"id": "%b", "text": "a", "payload": "' + b"x" * 70_000 + b'"}',
    b'{"id": 1.5, "text": "%b"}',
    b'{"id": null, "text": "%b"}',
    b"[" * 100_000,
    b"\0%b",
]
_TEXT = [b"caf\xe9 %b", b"nul\0 %b"]
_EDGES = [b"alone%b", b"caf\xe9%b\tb", b"a\0%b\tb", b"\t0"]


def _ids(texts: list[str], place: int) -> Texts:
    return {f"r{i}": text for i, text in enumerate(texts) if i != place}


def csv_file(folder: Path, texts: list[str], place: int, damage: int) -> Damaged:
    """Quoted cells, a line a row."""
    lines = [f'"r{i}","{text}"'.encode() for i, text in enumerate(texts)]
    lines[place] = _CSV[damage].replace(b"%b", f"r{place}".encode())
    path = folder / "rows.csv"
    path.write_bytes(b"\n".join([b"id,text", *lines, b""]))
    return Damaged(path, _ids(texts, place), f"rows.csv:{place + 2}")


def unclosed_csv(folder: Path, texts: list[str], place: int, damage: int) -> Damaged:
    """A quote that nothing closes: all behind it is lost, and told."""
    lines = [f"r{i},{text}" for i, text in enumerate(texts)]
    lines[place] = f'r{place},"never closed' if damage else f'"r{place},never closed'
    path = folder / "rows.csv"
    path.write_text("\n".join(["id,text", *lines, ""]))
    sound = {f"r{i}": text for i, text in enumerate(texts[:place])}
    return Damaged(path, sound, f"rows.csv:{place + 2}", ends=True)


def tsv_file(folder: Path, texts: list[str], place: int, damage: int) -> Damaged:
    """Tabs, and quotes as letters."""
    lines = [f"r{i}\t{text}".encode() for i, text in enumerate(texts)]
    lines[place] = [b"r\xff\ttext", b"one cell", b"\ttext"][damage]
    path = folder / "rows.tsv"
    path.write_bytes(b"\r\n".join([b"\xef\xbb\xbfid\ttext", *lines, b""]))
    return Damaged(path, _ids(texts, place), f"rows.tsv:{place + 2}", ["--no-quotes"])


def jsonl_file(folder: Path, texts: list[str], place: int, damage: int) -> Damaged:
    """An object a line."""
    lines = [json.dumps({"id": f"r{i}", "text": text}).encode() for i, text in enumerate(texts)]
    lines[place] = _JSONL[damage].replace(b"%b", f"r{place}".encode())
    path = folder / "rows.jsonl"
    path.write_bytes(b"\n".join(lines))
    return Damaged(path, _ids(texts, place), f"rows.jsonl:{place + 1}")


def text_file(folder: Path, texts: list[str], place: int, damage: int) -> Damaged:
    """A line a record, a blank line between."""
    lines = [text.encode() for text in texts]
    lines[place] = _TEXT[damage % 2].replace(b"%b", b"x")
    if by_paragraphs := damage >= 2:
        lines = [line + b"\nsecond line" for line in lines]
    path = folder / "rows.txt"
    path.write_bytes(b"\n\n".join(lines))
    step = 3 if by_paragraphs else 2
    ends = "\nsecond line" if by_paragraphs else ""
    sound = {str(i * step + 1): t + ends for i, t in enumerate(texts) if i != place}
    options = ["--paragraphs"] if by_paragraphs else []
    return Damaged(path, sound, f"rows.txt:{place * step + 1}", options)


def edges_file(folder: Path, texts: list[str], place: int, damage: int) -> Damaged:
    """A chain of nodes that are the texts."""
    lines = [f"{text}\t{i}".encode() for i, text in enumerate(texts)]
    lines[place] = _EDGES[damage].replace(b"%b", b"x")
    path = folder / "graph.edges"
    path.write_bytes(b"\n".join(lines))
    names = [name for i, text in enumerate(texts) if i != place for name in (text, str(i))]
    # a node is a record: that of the last damage has one with a name
    sound = {name: name for name in (*names, *(["0"] if damage == 3 else []))}
    return Damaged(path, sound, f"graph.edges:{place + 1}", ["--delimiter", r"\t"])


def image_folder(folder: Path, texts: list[str], place: int, damage: int) -> Damaged:
    """Images of a model that takes any bytes but none."""
    photos = folder / "photos"
    photos.mkdir(exist_ok=True)
    for old in photos.iterdir():
        old.unlink()
    for i, text in enumerate(texts):
        path = photos / f"r{i}.png"
        if i != place:
            path.write_bytes(text.encode())
        elif damage == 0:
            path.write_bytes(b"")
        else:
            path.symlink_to(photos / "nowhere.png")
    sound = {f"r{i}.png": text.encode() for i, text in enumerate(texts) if i != place}
    return Damaged(photos, sound, f"r{place}.png")


def image_table(folder: Path, texts: list[str], place: int, damage: int) -> Damaged:
    """A table that names images, one of which is not there or cannot be a path."""
    names = [f"r{i}.png" for i in range(len(texts))]
    for name, text in zip(names, texts, strict=True):
        (folder / name).write_bytes(text.encode())
    names[place] = ["nowhere.png", "https://example.org/x.png", "."][damage]
    path = folder / "rows.csv"
    path.write_text("\n".join(["id,image", *(f"r{i},{name}" for i, name in enumerate(names)), ""]))
    sound = {f"r{i}": text.encode() for i, text in enumerate(texts) if i != place}
    return Damaged(path, sound, f"rows.csv:{place + 2}")


def _vectors(count: int) -> Vectors:
    rows = np.random.default_rng(count).standard_normal((count, 12), np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def vector_folder(folder: Path, texts: list[str], place: int, damage: int) -> Damaged:
    """Vectors and ids made by hand, with payloads."""
    rows = _vectors(len(texts))
    ids = [f"r{i}".encode() for i in range(len(texts))]
    payloads = [json.dumps({"text": text}).encode() for text in texts]
    sound = {f"r{i}": rows[i].copy() for i in range(len(texts)) if i != place}
    if damage == 0:
        rows[place, 3] = np.nan
    elif damage == 1:
        rows[place] = 0
    elif damage == 2:
        ids[place] = b"\xff"
    elif damage == 3:
        payloads[place] = b"{cut"
    else:
        # a last line that is blank is one more of the file's ends
        ids[place] = b" "
    source = folder / "vectors"
    source.mkdir(exist_ok=True)
    np.save(source / "vectors.npy", rows)
    (source / "ids.txt").write_bytes(b"\n".join([*ids, b""]))
    (source / "payloads.jsonl").write_bytes(b"\r\n".join([*payloads, b""]))
    return Damaged(source, sound, f"{source}:{place + 1}")


def exported_file(folder: Path, texts: list[str], place: int, damage: int) -> Damaged:
    """An export as Parquet."""
    rows = _vectors(len(texts))
    sound = {f"r{i}": rows[i].copy() for i in range(len(texts)) if i != place}
    if damage == 0:
        rows[place] = np.inf
    payloads = [{"text": text} for text in texts]
    points = [Point(f"r{i}", rows[i], payloads[i]) for i in range(len(texts))]
    if damage == 1:
        points[place] = Point("", rows[place], payloads[place])
    elif damage == 2:
        points[place] = Point("x" * 513, rows[place], payloads[place])
    path = folder / "points.parquet"
    with ParquetWriter(path, About("c", 12, metric=str(Metric.COSINE))) as writer:
        writer.write(points)
    return Damaged(path, sound, f"{path}:{place + 1}")


def parquet_file(folder: Path, texts: list[str], place: int, damage: int) -> Damaged:
    """Columns, some values of which Python cannot hold."""
    times = np.zeros(len(texts), np.int64)
    numbers = np.ones(len(texts))
    values: list[str | None] = list(texts)
    if damage == 0:
        times[place] = 2**62
    elif damage == 1:
        values[place] = None
    elif damage == 2:
        numbers[place] = np.inf
    ids = [f"r{i}" for i in range(len(texts))]
    if damage == 3:
        ids[place] = ""
    at = pyarrow.array(times, pyarrow.timestamp("us"))
    columns = {"id": ids, "text": values, "at": at, "n": numbers}
    path = folder / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=3)
    return Damaged(path, _ids(texts, place), f"rows.parquet:{place + 1}")


def tar_file(folder: Path, texts: list[str], place: int, damage: int) -> Damaged:
    """A sample of a text and JSON a record."""
    path = folder / "rows.tar"
    with tarfile.open(path, "w") as tar:
        for i, text in enumerate(texts):
            parts = {"txt": text.encode(), "json": b'{"n": 1}'}
            if i == place:
                bad = {"txt": b"caf\xe9"} if damage == 0 else {"json": b'{"n": '}
                parts |= {"txt": b""} if damage == 2 else bad
            for suffix, data in parts.items():
                member = tarfile.TarInfo(f"r{i}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return Damaged(path, _ids(texts, place), f"rows.tar/r{place}")


def broken_tar(folder: Path, texts: list[str], place: int, damage: int) -> Damaged:
    """A header that is none: where the next begins, and whether it is of the sample before."""
    path = tar_file(folder, texts, -1, damage).path
    data = bytearray(path.read_bytes())
    # two members a sample, each of one block and its header
    start = place * 4 * tarfile.BLOCKSIZE
    data[start + 148 : start + 156] = b"damaged\0"
    path.write_bytes(data)
    sound = {f"r{i}": text for i, text in enumerate(texts[: max(0, place - 1)])}
    return Damaged(path, sound, f"rows.tar/r{place - 1}" if place else "", ends=True)


MAKERS: dict[str, tuple[Maker, int]] = {
    "csv": (csv_file, len(_CSV)),
    "csv not closed": (unclosed_csv, 2),
    "tsv": (tsv_file, 3),
    "jsonl": (jsonl_file, len(_JSONL)),
    "text": (text_file, 4),
    "edges": (edges_file, len(_EDGES)),
    "parquet": (parquet_file, 4),
    "folder of images": (image_folder, 2),
    "table of images": (image_table, 3),
    "folder of vectors": (vector_folder, 5),
    "export": (exported_file, 3),
    "webdataset": (tar_file, 3),
    "webdataset header": (broken_tar, 1),
}
