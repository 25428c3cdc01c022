import pytest

from pipelines.errors import FastrotError
from pipelines.layouts.lists import read_header, read_lines, read_rows


def test_lines_are_numbered_as_an_editor_does(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xef\xbb\xbfa b \r\n\r\n  \nc\xc3\xa9")
    assert list(read_lines(path)) == [(1, "a b"), (4, "cé")]


def test_rows_may_quote_their_fields(tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes(b'label,id\r\n"a, b", x \r\n,\r\n"c""d",y\r\n')
    assert list(read_rows(path)) == [(1, ["label", "id"]), (2, ["a, b", "x"]), (4, ['c"d', "y"])]


@pytest.mark.parametrize("reader", [read_lines, read_rows])
def test_a_list_that_is_no_text_is_named(tmp_path, reader):
    path = tmp_path / "list.csv"
    path.write_bytes(b"a,b\n\xff\xfe\n")
    with pytest.raises(FastrotError, match=r"list\.csv is not UTF-8"):
        list(reader(path))


@pytest.mark.parametrize("reader", [read_lines, read_rows, read_header])
def test_a_list_that_cannot_be_read_is_named(tmp_path, reader):
    with pytest.raises(FastrotError, match=r"absent\.csv cannot be read: No such file"):
        list(reader(tmp_path / "absent.csv"))


def test_a_row_that_is_no_csv_is_named(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("a,b\n" + "x" * 200_000 + ",b\n")
    with pytest.raises(FastrotError, match=r"list\.csv, line 2: field larger"):
        list(read_rows(path))


def test_a_header_is_read_of_any_file(tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes(b'"label", id\r\n\xff\n')
    assert read_header(path) == ["label", "id"]
    path.write_bytes(b"")
    assert read_header(path) == [""]
