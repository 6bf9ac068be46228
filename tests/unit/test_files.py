import numpy as np
import pandas as pd
import pytest
from taskrsa.errors import DataError
from taskrsa.io.files import atomic_path, read_rows, read_table, read_tables, write_table


def test_a_failed_write_leaves_no_file(tmp_path):
    target = tmp_path / "out" / "table.csv"
    with pytest.raises(ValueError), atomic_path(target) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise ValueError
    assert list(target.parent.iterdir()) == []
    target.write_text("old")
    with atomic_path(target) as temporary:
        assert temporary.suffix == ".csv"
        temporary.write_text("new")
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o044


def test_rows_are_written_as_pandas_writes_them(tmp_path):
    rows = [
        {"name": "a, b", "count": 3, "share": 1 / 3, "kept": True, "small": np.float32(0.1)},
        {"name": "c", "count": np.int64(4), "share": float("nan"), "kept": False, "more": 1e-7},
        {"name": 'd "e"', "count": 5, "share": np.float64(12345678.9), "kept": True},
    ]
    write_table(rows, tmp_path / "rows.csv")
    write_table(pd.DataFrame(rows), tmp_path / "frame.csv")
    assert (tmp_path / "rows.csv").read_bytes() == (tmp_path / "frame.csv").read_bytes()
    write_table([{"a": None, "b": 1}], tmp_path / "none.csv")
    assert (tmp_path / "none.csv").read_text() == "a,b\n,1\n"


def test_tables_that_cannot_be_read(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    assert read_tables([tmp_path / "empty.csv"])["empty"].empty
    (tmp_path / "torn.csv").write_text('a,b\n1,2\n"3,4\n5,6,7')
    with pytest.raises(DataError, match=r"torn.csv: is not a table"):
        read_tables([tmp_path / "torn.csv"])
    with pytest.raises(DataError, match=r"none.csv: there is no such table"):
        read_tables([tmp_path / "none.csv"])


def test_rows_of_a_tab_separated_table_are_text(tmp_path):
    (tmp_path / "rows.tsv").write_text('name\tsays\na\t"no" quotes\nb\t\n')
    rows = read_rows(tmp_path / "rows.tsv")
    assert rows == [{"name": "a", "says": '"no" quotes'}, {"name": "b", "says": ""}]


def test_names_that_look_like_numbers_or_nothing_stay_names(tmp_path):
    write_table([{"model": "007", "label": "NA", "rs": 0.5}], tmp_path / "ranking.csv")
    table = read_table(tmp_path / "ranking.csv")
    assert table.loc[0].tolist() == ["007", "NA", 0.5]


def test_names_stand_in_tables_as_they_were_given(tmp_path):
    """As results/README.md says: what a spreadsheet takes for a formula is a name, too."""
    names = ["=1+1", "+a", "-b", "@c", "$x_1$ and $"]
    write_table([{"name": name, "score": -0.5} for name in names], tmp_path / "table.csv")
    assert read_table(tmp_path / "table.csv")["name"].tolist() == names
    assert (tmp_path / "table.csv").read_text().splitlines()[1] == "=1+1,-0.5"
