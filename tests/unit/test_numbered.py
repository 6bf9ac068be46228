"""What all simulated worlds share: their options, and images numbered within splits."""

import pytest
from taskrsa.data.simulated import SimulatedWorld
from taskrsa.data.sources import open_source
from taskrsa.errors import ConfigError, DataError
from taskrsa.worlds.outdoor import OutdoorWorld

WORLDS = [SimulatedWorld, OutdoorWorld]


def test_an_option_that_does_not_exist_is_one_line():
    with pytest.raises(ConfigError, match="colour: source simulated has no such option"):
        open_source("simulated", colour=1)


@pytest.mark.parametrize("world", WORLDS)
def test_ids(world):
    some = world(n_train=2, n_val=1)
    mark = world.separator
    assert some.ids("train") == [f"train{mark}000000", f"train{mark}000001"]
    assert some.ids("val") == [f"val{mark}000000"]
    with pytest.raises(DataError, match=f"{world.name}: no split 'test'; use train or val"):
        some.ids("test")


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(
    "image_id",
    ["train-000004", "val-000002", "test-000000", "train-1", "train-0000001", "train-000001\n",
     "", "x", 3, None],
)  # fmt: skip
def test_an_image_that_does_not_exist_is_one_line(world, image_id):
    if isinstance(image_id, str):
        image_id = image_id.replace("-", world.separator)
    with pytest.raises(
        DataError, match="no image .*; there are 4 train and 2 val images"
    ) as caught:
        world(n_train=4, n_val=2).scene(image_id)
    assert "\n" not in str(caught.value)


def test_worlds_of_one_seed_are_drawn_apart():
    rooms, outdoor = SimulatedWorld(n_train=1), OutdoorWorld(n_train=1)
    first, second = rooms.generator("train-000000"), outdoor.generator("train_000000")
    assert first.random() != second.random()
