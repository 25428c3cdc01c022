import json
import sys

from benchmarks.tools import augmentation_cost


def test_each_modality_has_a_line_with_the_share_of_the_plain_rate(make_store, monkeypatch, capsys):
    arguments = ["cost", str(make_store("raw").path), "--batches", "1", "--repeats", "1"]
    monkeypatch.setattr(sys, "argv", arguments)
    augmentation_cost.main()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["modality"] for line in lines] == ["rgb", "dif"]
    for line in lines:
        assert line["plain_share"] == 1
        assert line["all_ms"] > 0
        assert line["all_share"] > 0
