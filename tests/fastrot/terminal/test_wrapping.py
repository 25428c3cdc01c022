import io

from fastrot.terminal.wrapping import fit, wrapped


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_indentation_shrinks_on_a_narrow_terminal():
    text = f"{'':25}start containers with --gpus all, or without"
    assert wrapped(text, 61, hang=25).splitlines() == [
        f"{'':25}start containers with --gpus all, or",
        f"{'':25}without",
    ]
    assert wrapped(text, 40, hang=25).splitlines() == [
        "    start containers with --gpus all, or",
        "    without",
    ]


def test_only_a_terminal_gets_broken_lines(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    text = "fastrot: error: a/b is not a store"
    assert fit(text, io.StringIO()) == text
    assert fit(text, Terminal()) == "fastrot: error: a/b\nis not a store"
