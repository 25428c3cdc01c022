"""The pages' links lead somewhere, and their commands are ones that fastrot understands."""

import shlex

import pytest

from fastrot.cli import COMMANDS, build_parser
from fastrot.config.key_table import reference
from tests.docs.pages import PAGES, ROOT, anchors, commands, inline_code, links, prose

IDS = [page.relative_to(ROOT).as_posix() for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_relative_links_lead_somewhere(page):
    for link in links(page):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in anchors(target), f"{link}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_in_blocks_parse(page, capsys):
    parser = build_parser()
    for words in commands(page):
        try:
            parser.parse_args(words)
        except SystemExit as stop:
            if stop.code:
                pytest.fail(f"fastrot {shlex.join(words)}: {capsys.readouterr().err}")


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_in_sentences_exist(page):
    for code in inline_code(page):
        words = code.split()
        if len(words) > 1 and words[0] == "fastrot" and not words[1].startswith("-"):
            assert words[1] in COMMANDS, f"`{code}`: there is no command {words[1]}"


def test_the_commands_are_seen():
    pages = {page.name: page for page in PAGES}
    found = list(commands(pages["clusters.md"]))
    assert ["pretrain", "configs/pretrain/kinetics_rgb_16.yaml", "data.store=STORE"] in found
    assert len(found) >= 4


def test_configs_in_the_pages_load():
    """What a page's command says of a config and its keys is valid."""
    from fastrot.config import load_config

    seen = 0
    for page in PAGES:
        for words in commands(page):
            if words and words[0] in ("pretrain", "finetune") and words[1].endswith(".yaml"):
                if f"`{words[1]}`" in prose(page):  # a file that the page has its reader write
                    continue
                overrides = [word for word in words[2:] if not word.startswith("--")]
                load_config(ROOT / words[1], overrides)
                seen += 1
    assert seen >= 5


def test_the_configuration_page_is_the_schemas():
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert page == reference(), "run: python -m fastrot.config.key_table > docs/configuration.md"
