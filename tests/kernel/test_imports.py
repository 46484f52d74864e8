"""The importers' common ground: sources, reports, tallies, progress."""

import csv
import gzip
import io
import json
import random
from pathlib import Path

import pytest

from apps.kernel import imports, records
from apps.kernel.progress import Progress


def test_a_gzipped_file_reads_like_a_plain_one(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfHandle\r\n")
    (tmp_path / "b.csv").write_bytes(gzip.compress(b"\xef\xbb\xbfHandle\r\n"))

    for name in ("a.csv", "b.csv"):
        with imports.Source(tmp_path / name) as source:
            assert source.stream.read() == b"\xef\xbb\xbfHandle\r\n"
            assert source.position == source.size


@pytest.mark.parametrize(("name", "complaint"), [("missing.csv", "can't be read"), (".", "can't be read")])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, complaint: str) -> None:
    with pytest.raises(imports.ImportRefused, match=complaint):
        imports.Source(tmp_path / name)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()

    with pytest.raises(imports.ImportRefused, match="is empty"):
        imports.Source(tmp_path / "empty.csv")


def test_a_small_file_that_unpacks_to_very_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "RATIO_COUNTS_FROM", 2**20)
    (tmp_path / "bomb.csv").write_bytes(gzip.compress(b"\n" * 2**24))

    with imports.Source(tmp_path / "bomb.csv") as source, pytest.raises(imports.ImportRefused, match="unpacks to more"):
        while source.stream.read(1000):
            pass


def test_a_file_that_packs_well_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "RATIO_COUNTS_FROM", 2**16)
    lines = b"".join(b"p-%d,A product like all the others of this shop,9.90\n" % (n // 10) for n in range(20_000))
    packed = gzip.compress(lines)
    (tmp_path / "like.csv").write_bytes(packed)
    assert len(lines) > 50 * len(packed)

    with imports.Source(tmp_path / "like.csv") as source:
        assert source.stream.read() == lines


def test_no_packed_file_is_endless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "MOST_UNPACKED", 2**20)
    (tmp_path / "long.csv").write_bytes(gzip.compress(random.Random(1).randbytes(2**21)))

    with imports.Source(tmp_path / "long.csv") as source, pytest.raises(imports.ImportRefused, match="unpacked file"):
        source.stream.read()


@pytest.mark.parametrize("start", ["Handle,Title\n", ""])
@pytest.mark.parametrize("blank", ["\n", "\r\n", ", \n"])
def test_a_table_of_blank_rows_is_refused(
    tmp_path: Path, start: str, blank: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MOST_BLANK_ROWS", 1000)
    path = tmp_path / "blank.csv"
    path.write_text(start + blank * 2100, newline="")

    with pytest.raises(imports.ImportRefused, match="blank rows; delete them"):
        rows_of(path)


def test_a_sheet_with_blank_rows_to_its_end_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MOST_BLANK_ROWS", 1000)
    path = tmp_path / "sheet.csv"
    path.write_text("Handle,Title\n" + "a,A\n" + ",\n" * 998)
    assert rows_of(path) == 1000

    path.write_text("Handle,Title\n" + "a,A\n,\n" * 5000)
    assert rows_of(path) == 10_001


def rows_of(path: Path) -> int:
    with imports.Source(path) as source:
        layout = records.find_layout(source)
    with imports.Source(path) as source:
        return sum(1 for _ in records.read_records(source, layout))


@pytest.mark.parametrize("ending", ["csv", "json"])
def test_a_report_names_row_column_value_and_problem(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"report.{ending}"

    with imports.Report(path) as report:
        report.add(row=2, column="Variant Price", value="x" * 500, problem="not a price")
        report.add(row=3, column="Title", value=None, problem='has a "quote", and a comma')

    text = path.read_text()
    rows = list(csv.DictReader(io.StringIO(text))) if ending == "csv" else json.loads(text)
    assert [str(row["row"]) for row in rows] == ["2", "3"]
    assert len(rows[0]["value"]) == 201
    assert rows[1]["problem"] == 'has a "quote", and a comma'
    assert report.count == 2


def test_a_csv_report_holds_no_formulas(tmp_path: Path) -> None:
    formulas = ["=1+1", "+1", "-1", "@x", "\tx", "\rx"]
    for ending in ("csv", "json"):
        with imports.Report(tmp_path / f"report.{ending}") as report:
            for formula in formulas:
                report.add(row=1, column=formula, value=formula, problem=formula)

    with (tmp_path / "report.csv").open(newline="") as file:
        cells = list(csv.reader(file))[1:]
    assert cells == [["1", *[f"'{formula}"] * 3] for formula in formulas]
    assert [row["value"] for row in json.loads((tmp_path / "report.json").read_text())] == formulas


def test_an_empty_json_report_is_a_list(tmp_path: Path) -> None:
    with imports.Report(tmp_path / "report.json"):
        pass

    assert json.loads((tmp_path / "report.json").read_text()) == []


def test_a_report_that_cannot_be_written_stops_before_the_import(tmp_path: Path) -> None:
    with pytest.raises(imports.ImportRefused, match=r"\.csv or \.json"):
        imports.Report(tmp_path / "report.xlsx")
    with pytest.raises(imports.ImportRefused, match="can't be written"):
        imports.Report(tmp_path / "nowhere" / "report.csv")


def test_a_tally_speaks_in_lines() -> None:
    tally = imports.Tally()
    tally.add("products", "created", 1200)
    tally.add("products", "skipped")
    tally.add("variants", "created", 3)
    tally.add("variants", "removed", 2)

    assert tally.lines() == [
        "products: 1,200 created, 0 updated, 0 unchanged, 1 skipped",
        "variants: 3 created, 0 updated, 0 unchanged, 0 skipped, 2 removed",
    ]
    assert tally.as_dict()["products"]["created"] == 1200


def test_progress_shows_share_rate_and_time_left() -> None:
    stream = io.StringIO()
    progress = Progress("Importing", unit="rows", total=100, stream=stream)

    progress.add(25)
    progress.finish()

    assert "Importing: 25 rows of 100 (25%)" in stream.getvalue()
    assert "s left" in stream.getvalue()


def test_progress_leaves_its_line_however_the_work_ends() -> None:
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]

    with pytest.raises(KeyboardInterrupt), Progress("Importing", unit="rows", total=10, stream=stream) as progress:
        progress.add(3)
        raise KeyboardInterrupt

    assert "3 rows of 10" in stream.getvalue()
    assert stream.getvalue().endswith("\n")


def test_quiet_progress_is_silent() -> None:
    stream = io.StringIO()
    progress = Progress("Importing", unit="rows", quiet=True, stream=stream)

    progress.to(10)
    progress.finish()

    assert (progress.done, stream.getvalue()) == (10, "")
