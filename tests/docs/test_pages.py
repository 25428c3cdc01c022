"""The pages make one book, their links lead somewhere, and fastrot understands their commands."""

import argparse
import runpy
import shlex

import pytest
import yaml

from fastrot.cli import COMMANDS, build_parser
from tests.docs.pages import PAGES, ROOT, anchors, blocks, commands, inline_code, links, prose

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
    found = list(commands(ROOT / "docs" / "guides" / "one_node.md"))
    assert ["pretrain", "configs/pretrain/kinetics_rgb_16.yaml", "data.store=STORE"] in found
    assert len(found) >= 3


def test_configs_in_the_pages_load():
    """The configs and keys in a page's commands are valid."""
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


def test_configs_that_a_page_has_its_reader_write_load(tmp_path):
    from fastrot.config import load_config

    found = [block.text for page in PAGES for block in blocks(page) if block.language == "yaml"]
    assert len(found) >= 3
    for i, text in enumerate(found):
        path = tmp_path / f"{i}.yaml"
        path.write_text(text)
        load_config(path, ["data.store=STORE"])


@pytest.mark.parametrize("name", ["command_page", "config_page"])
def test_generated_pages_are_current(name):
    script = runpy.run_path(str(ROOT / "scripts" / f"{name}.py"))
    page = {"command_page": "commands.md", "config_page": "configuration.md"}[name]
    make = script.get("page") or script["reference"]
    assert (ROOT / "docs" / "reference" / page).read_text() == make(), (
        f"run: python scripts/{name}.py > docs/reference/{page}"
    )


def test_the_tutorial_page_includes_the_script():
    # A formatter of Python blocks once changed this line, and the page showed it instead of the script.
    page = (ROOT / "docs" / "start" / "tutorial.md").read_text()
    assert '\n--8<-- "docs/tutorial.py"\n' in page


def test_the_commands_page_has_every_command():
    text = (ROOT / "docs" / "reference" / "commands.md").read_text()
    for command in COMMANDS:
        assert f"## fastrot {command}\n" in text
    assert argparse.SUPPRESS not in text  # an argument that the help hides


def pages_of(nav):
    """Return the files that the site's menu names, in its order."""
    if isinstance(nav, str):
        return [nav]
    entries = nav.values() if isinstance(nav, dict) else nav
    return [page for entry in entries for page in pages_of(entry)]


def test_the_menu_has_every_page_once():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    named = pages_of(config["nav"])
    excluded = config["exclude_docs"].split()
    there = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    there = {page for page in there if not page.startswith(tuple(excluded))}
    assert len(named) == len(set(named))
    assert set(named) == there


def test_the_site_loads_nothing_from_elsewhere():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert config["theme"]["font"] is False
    assert "extra_javascript" not in config
    for style in config["extra_css"]:
        assert "://" not in (ROOT / "docs" / style).read_text()


def test_the_readme_is_short():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 90
    assert text.count("![") == 1
    assert "13 minutes on one H200" in text
