"""The sizes of encoders: from configurations and files, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from taskrsa.errors import ConfigError
from taskrsa.networks.spec import EncoderSpec, SmallSpec, encoder_spec
from taskrsa.recipes import EncoderConfig

ROOT = Path(__file__).parents[2]


def test_a_spec_is_its_configuration_and_what_a_task_sets():
    config = EncoderConfig(width=4, units=(1, 2, 1, 2), strides=(2, 1, 1, 1))
    spec = encoder_spec(config.model_dump(), input_channels=1)
    assert spec == EncoderSpec(**config.model_dump(), input_channels=1)
    assert (spec.reduction, spec.bottleneck_channels) == (8, 8)
    assert EncoderSpec() == encoder_spec(EncoderConfig().model_dump())
    assert EncoderSpec().reduction == 16


def test_a_spec_comes_back_from_the_header_of_a_file():
    for spec in (EncoderSpec(width=4, input_channels=1), SmallSpec(width=4, reduction=8)):
        header = {"family": spec.family, **spec.model_dump(mode="json")}
        assert encoder_spec(header) == spec
        header["code_channels"] = header.pop("bottleneck_channels")
        assert encoder_spec(header | {"group_norm": False}) == spec


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"units": [1, 2, 3]}, "encoder, units.3: Field required"),
        ({"width": 0}, "encoder, width: Input should be greater than or equal to 1"),
        ({"depth": 3}, "encoder, depth: Extra inputs are not permitted"),
        ({"family": "large"}, "encoder: no family large; there are taskonomy, small"),
        *(
            ({"family": "small", "reduction": n}, f"cannot reduce an image {n} times; change")
            for n in (3, 32, 0)
        ),
    ],
)
def test_sizes_that_cannot_be_are_refused(values, words):
    with pytest.raises(ConfigError, match=words) as caught:
        encoder_spec(values)
    assert "\n" not in str(caught.value)


def test_specs_are_known_without_pytorch():
    program = "import sys, taskrsa.networks.spec; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT / "scripts", check=False)
    assert done.returncode == 0
