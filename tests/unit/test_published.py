"""What was published: the tables beside the module hold it, and hold together."""

import pytest
from taskrsa.paper import published
from taskrsa.paper.published import CLAIMS, FIGURE8, MIOU, RULES, TABLE2
from taskrsa.tasks.dictionary import TASKS

BY_KEY = {(claim.id, claim.key): claim for claim in CLAIMS}
UNTRAINED = {"random", "random_small"}


def test_every_claim_of_the_paper_is_there_once():
    assert list(dict.fromkeys(claim.id for claim in CLAIMS)) == [f"C{n}" for n in range(1, 13)]
    assert len(BY_KEY) == len(CLAIMS) == len({claim.statement for claim in CLAIMS})
    assert all(claim.source for claim in CLAIMS)


def test_published_values():
    found = {key: claim.published for key, claim in BY_KEY.items() if claim.published is not None}
    assert found == {
        ("C4", "pearson"): 0.62,
        ("C4", "spearman"): 0.65,
        ("C5", "pearson"): 0.84,
        ("C5", "spearman"): 0.85,
        ("C5", "lowest_2d"): 0.97,
        ("C5", "lowest_3d"): 0.77,
        ("C6", "pearson"): 0.85,
        ("C6", "spearman"): 0.88,
        ("C7", "pearson"): 0.70,
        ("C7", "spearman"): 0.76,
        ("C8", "top1"): 7 / 17,
        ("C8", "top3"): 14 / 17,
        ("C8", "top5"): 16 / 17,
    }
    assert {key for key, claim in BY_KEY.items() if claim.from_voc2012} == {
        *(("C9", key) for key in ("types", "same_task")),
        *(("C10", key) for key in ("prediction", "gain_mean", "gain_random", "below_scratch")),
    }
    assert published.values_of("C5", "pearson", "spearman") == {
        "pearson": 0.84,
        "spearman": 0.85,
        "n": 14,
    }


def test_rules_are_used_and_say_their_threshold():
    assert {rule for claim in CLAIMS for rule in claim.rules} == set(RULES.values())
    for claim in CLAIMS:
        first, *conditions = claim.rules
        assert first.judge, claim
        assert first.words.startswith("holds "), claim
        assert not any(rule.judge for rule in conditions), claim
    for rule in RULES.values():
        number = "" if rule.threshold is None else f"{rule.threshold:g}"
        assert number in rule.words or rule.name in ("reaches_count", "cheaper"), rule


def test_names_are_tasks_and_orders_agree():
    assert sorted(FIGURE8) == sorted(TASKS)
    assert set(MIOU) - UNTRAINED <= set(TASKS)
    assert sum(name not in MIOU for name in TASKS) == 3
    # Table 2 stands in the order of Figure 8.
    assert [name for name in FIGURE8 if name in TABLE2] == list(TABLE2)
    rounded = [0.6492, 0.6529, 0.6496, 0.6487, 0.5901, 0.5891]  # the authors cut off, not rounded
    for name, value in zip(TABLE2, rounded, strict=True):
        assert MIOU[name] == pytest.approx(value, abs=1e-4)
    assert (MIOU["random"], MIOU["random_small"]) == (0.6083, 0.4072)
