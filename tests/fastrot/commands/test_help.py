"""The help of every option gives its default once and in one form: ``(default: all)``."""

import argparse
import re

import pytest

from benchmarks.acceptance import command
from benchmarks.cheap_cues import study
from benchmarks.soak import soak
from benchmarks.tools import preparing, reading_rates
from fastrot.cli import build_parser
from fastrot.commands.arguments import Parser

OTHER_FORMS = r"\bNone\b|\bFalse\b|\[\]|[Dd]efaults? (is|to)\b|by default|\(\d+\)|repeatable"
NO_DEFAULT = (None, False, [], argparse.SUPPRESS)


def programs(parser):
    """Return a parser without subcommands, or those of its subcommands."""
    groups = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    inner = [
        program for group in groups for each in group.choices.values() for program in programs(each)
    ]
    return inner or [parser]


class BuiltError(Exception):
    """Carries the parser of a program that builds it in ``main``."""


@pytest.fixture(params=[command, study, soak, preparing, reading_rates])
def benchmark(request, monkeypatch):
    def stop(parser, argv=None):
        raise BuiltError(parser)

    monkeypatch.setattr(Parser, "parse_args", stop)
    with pytest.raises(BuiltError) as caught:
        request.param.main()
    return caught.value.args[0]


def check(parser):
    for action in parser._actions:
        if action.option_strings and action.help != argparse.SUPPRESS:
            text = parser._get_formatter()._expand_help(action)
            where = f"{parser.prog} {action.option_strings[0]}: {text!r}"
            assert text, where
            assert not re.search(OTHER_FORMS, text), where
            given = action.default not in NO_DEFAULT
            assert text.count("default") == text.count("(default: "), where
            assert text.count("(default: ") <= 1, where
            assert "(default: " in text or not given, where


@pytest.mark.parametrize("parser", programs(build_parser()), ids=lambda parser: parser.prog)
def test_every_command_gives_its_defaults_in_one_form(parser):
    check(parser)


def test_every_benchmark_gives_its_defaults_in_one_form(benchmark):
    check(benchmark)


def test_values_of_a_list_are_printed_as_they_are_typed():
    parser = Parser()
    parser.add_argument("--k", type=int, nargs="+", default=[1, 5], help="neighbours")
    assert "neighbours (default: 1 5)" in parser.format_help()


def test_the_default_in_words_replaces_the_value():
    parser = Parser()
    parser.add_argument("--workers", default=7, help="processes (default: one per core)")
    assert "processes (default: one per core)\n" in parser.format_help()
