"""Which layers a row chooses, by name, by wildcard and by the network's own shape."""

from __future__ import annotations

import pytest
from taskrsa.errors import ConfigError
from taskrsa.networks.layers import Layer, choose
from user_networks import row

LAYERS = [
    Layer("a.1", "Conv2d", (4,)),
    Layer("a.2", "Conv2d", (4,)),
    Layer("b", "ReLU", fault="is called 3 times for one image"),
    Layer("c", "Linear", (2,)),
]


def names(layers: str) -> dict[str, str]:
    return {name: layer.name for name, layer in choose(LAYERS, row(layers=layers)).items()}


def test_names_wildcards_and_new_names():
    assert names("c a.*") == {"c": "c", "a.1": "a.1", "a.2": "a.2"}
    assert names("early=a.1 late=c") == {"early": "a.1", "late": "c"}
    assert names("a.1 *") == {"a.1": "a.1", "a.2": "a.2", "c": "c"}


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ("d*", r"nothing is named d\*; there are a.1, a.2, c"),
        ("b", "b cannot be used: it is called 3 times"),
        ("x=a.*", r"x=a\.\* matches 2, a.1, a.2; name one"),
        ("c=a.1 c", "a.1 and c would both be layer c"),
        ("auto", "auto finds nothing before the head"),
    ],
)
def test_what_cannot_be_chosen_is_one_line(layers, words):
    with pytest.raises(ConfigError, match=f"^bank, row net, layers: {words}") as caught:
        names(layers)
    assert "\n" not in str(caught.value)
