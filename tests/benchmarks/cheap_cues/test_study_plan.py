"""The order of the trainings of the cheap-cues study."""

from collections import Counter

from benchmarks.cheap_cues.study_plan import CLEAN, CROSS, TRAP, Pretraining, Transfer, plan


def test_the_cross_is_complete_for_every_seed_and_comes_first():
    trainings = list(plan(3))
    for seed in range(3):
        cross, rest = trainings[10 * seed : 10 * seed + 10], trainings[10 * seed + 10 :]
        assert {each.seed for each in cross} == {seed}
        assert {each.condition for each in cross} == {CLEAN, TRAP}
        starts = {
            (each.start if isinstance(each.start, str) else each.start.condition, each.condition)
            for each in cross
            if isinstance(each, Transfer)
        }
        assert starts == {
            (start, condition) for start in ("scratch", "supervised", *CROSS) for condition in CROSS
        }
        assert not set(cross) & set(rest)


def test_each_training_runs_once_and_after_the_one_it_starts_from():
    done = set()
    for training in plan(2):
        assert training.key not in done
        if isinstance(training, Transfer) and isinstance(training.start, Pretraining):
            assert training.start.key in done
        done.add(training.key)


def test_transfers_of_the_cross_have_the_seed_of_their_pretraining():
    for training in plan(3):
        if isinstance(training, Transfer) and isinstance(training.start, Pretraining):
            single = training.start.condition not in CROSS
            assert training.start.seed == (0 if single else training.seed)


def test_counts():
    kinds = Counter(type(each) for each in plan(3))
    assert kinds == {Pretraining: 2 * 3 + 3, Transfer: 2 * 4 * 3 + 3 * 2 * 3}
