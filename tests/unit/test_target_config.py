"""The section of a target: its data apart from its recipes, and sizes that are left to the run."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from taskrsa.targets.config import TargetConfig, TargetData


def test_what_images_are_read_from_is_apart_from_recipes():
    target = TargetConfig(kind="values", path="a.csv", val_share=0.5, recipe={"steps": 7})
    assert target.data == TargetData(kind="values", path="a.csv", val_share=0.5)
    other = target.model_copy(update={"recipe": target.recipe.model_copy(update={"steps": 8})})
    assert other.data == target.data
    assert TargetData(**target.data.model_dump(mode="json")) == target.data


def test_sizes_that_are_null_are_those_of_the_run():
    target = TargetConfig(kind="values", path="a.csv", small={"recipe": {"crop": 16}})
    found = target.resolved(64)
    sizes = found.image_size, found.recipe.crop, found.small.recipe.crop
    assert sizes == (64, 64, 16)
    found = target.model_copy(update={"image_size": 32}).resolved(64)
    assert (found.image_size, found.recipe.crop) == (32, 32)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"kind": "values"}, "kind values needs path"),
        ({"kind": "values", "source": "outdoor"}, "source outdoor is a segmentation"),
        ({"kind": "network"}, "needs network"),
        ({"kind": "network", "network": "a", "finetune": "all"}, "set finetune to none"),
        ({"kind": "values", "path": "a", "subjects": ["a", "b"]}, "set kind to network"),
        ({"kind": "network", "network": "a", "subjects": ["a"]}, "one subject has no noise"),
        ({"kind": "values", "path": "a", "finetune": "race", "seeds": [0, 1]}, "race is run once"),
        (
            {"kind": "values", "path": "a", "finetune": "race", "compare_taps": ["a"]},
            "leave compare_taps out",
        ),
        ({"kind": "values", "path": "a", "budget": 0.5}, "greater than or equal to 1"),
    ],
)
def test_what_does_not_go_together_is_named(keys, message):
    with pytest.raises(ValidationError, match=message):
        TargetConfig(**keys)
