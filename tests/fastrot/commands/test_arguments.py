"""Words and options in any order."""

import argparse

import pytest

from fastrot.cli import main
from fastrot.commands.arguments import options_anywhere


@pytest.fixture
def parser():
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("changes", nargs="*")
    parser.add_argument("--store", action="append", default=[])
    parser.add_argument("--preset")
    parser.add_argument("--dry-run", action="store_true")
    options_anywhere(parser, "changes")
    return parser


@pytest.mark.parametrize(
    "line",
    [
        "t a=1 b=2 --preset demo --store x=y --dry-run",
        "--preset demo t --dry-run a=1 --store x=y b=2",
        "t --store=x=y --dry-run a=1 --preset=demo b=2",
    ],
)
def test_values_stay_with_their_options(parser, line):
    args = parser.parse_args(line.split())
    assert (args.target, args.changes) == ("t", ["a=1", "b=2"])
    assert (args.store, args.preset, args.dry_run) == (["x=y"], "demo", True)


def test_an_option_without_its_value_is_refused(parser, capsys):
    with pytest.raises(SystemExit):
        parser.parse_args(["t", "--preset"])
    assert "expected one argument" in capsys.readouterr().err


def test_values_of_one_line_do_not_stay_for_the_next(parser):
    for _ in range(2):
        assert parser.parse_args(["t", "--dry-run", "a=1"]).changes == ["a=1"]


def test_a_key_with_dashes_is_told_how_to_write_it(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["pretrain", "demo/pretrain.yaml", "--data.store=X"])
    err = capsys.readouterr().err
    assert "usage: fastrot pretrain" in err
    assert "without dashes: data.store=X" in err


def test_only_the_config_is_required(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["pretrain"])
    assert "required: CONFIG\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("bench loader --json=x.json", "--json takes no value: use --out x.json\n"),
        ("doctor --json=x.json", "--json takes no value\n"),
        ("weights", "required: ACTION: choose from export, import\n"),
        ("pretrain demo/pretrain.yaml --resume=a/b.pt", "takes no value: use --resume-from a/b.pt"),
    ],
)
def test_a_value_after_a_flag_is_told_its_option(line, told, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(line.split())
    assert told in capsys.readouterr().err


def test_a_checkpoint_after_resume_is_told_its_option(capsys):
    assert main(["pretrain", "demo/pretrain.yaml", "data.crop=56", "--resume", "a/b.pt"]) == 2
    assert "--resume takes no checkpoint: use --resume-from a/b.pt" in capsys.readouterr().err
