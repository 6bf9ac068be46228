"""The configuration: one line for a wrong key, defaults that do not change results, the schema."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import yaml
from taskrsa.errors import ConfigError
from taskrsa.plan.config import Config, parse, parse_section, schema
from taskrsa.recipes import FinetuneConfig, HeadConfig, TrainConfig
from taskrsa.targets.config import TargetConfig

ROOT = Path(__file__).parents[2]


def message(values: dict, added=()) -> str:
    with pytest.raises(ConfigError) as error:
        parse(values, added)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"stimulli": {"n": 3}}, "config, stimulli: unknown key; did you mean stimuli?"),
        ({"rsa": {"bootstrap": 3}}, "config, rsa.bootstrap: unknown key; did you mean bootstraps?"),
        ({"images": {"tset": 3}}, "config, images.tset: unknown key; there are train, val"),
        ({"stimuli": {"n": "many"}}, "config, stimuli.n: 'many' should be a valid integer"),
        ({"seed": "5"}, "config, seed: '5' should be a valid integer"),
        ({"seed": True}, "config, seed: True should be a valid integer"),
        ({"rsa": {"preset": "mine"}}, "config, rsa.preset: 'mine' should be 'paper' or 'recomm"),
        ({"rsa": 5}, "config, rsa: 5 should be an object"),
        ({"tasks": 5}, "config, tasks: 5 should be a valid array"),
        ({"tasks": ["edge2d"]}, "config, tasks: ['edge2d'] should have at least 4 items"),
        ({"tasks": ["a", "b", 3, "d"]}, "config, tasks.2: 3 should be a valid string"),
        ({"small": {"seeds": [0, 0]}}, "config, small.seeds: 0 is listed twice; remove one"),
        ({"robustness": {"images": [2]}}, "config, robustness.images.0: 2 should be greater than"),
        ({"robustness": {"stages": [120]}}, "config, robustness.stages.0: 120 should be less than"),
        ({"encoder": {"units": [1, 2]}}, "config, encoder.units.2: is missing; set it"),
        (
            {"encoder": {"width": 4, "units": [1, 1, 1, 1]}},
            "config, encoder: a block of one unit and stride 2 has 4 channels before it, and "
            "PyTorch crashes in training it; use 8 or more",
        ),
        ({"n_random": 1}, "config, n_random: give 0, or at least 2"),
        ({"simulated": {"n_train": 0}}, "config, simulated.n_train: 0 should be greater than"),
        ({"simulated": {"n_val": 10**7}}, "config, simulated.n_val: 10000000 should be less than"),
        ({"simulated": {"seed": -1}}, "config, simulated.seed: -1 should be greater than"),
        ({"seed": 10**26}, f"config, seed: {10**26} is too large a number; correct it"),
        ({"simulated": {"seed": 2**33}}, "config, simulated.seed: 8589934592 should be less"),
        ({"stimuli": {"n": 10**15}}, "config, stimuli.n: 1000000000000000 is too large a number"),
        ({"image_size": 5_000_000}, "config, image_size: 5000000 should be less than or equal"),
        (
            {"training": {"recipe": {"learning_rate": math.nan}}},
            "config, training.recipe.learning_rate: nan should be a finite number",
        ),
        (
            {"small": {"recipe": {"weight_decay": math.inf}}},
            "config, small.recipe.weight_decay: inf should be a finite number",
        ),
        (
            {"training": {"recipe": {"learning_rate": 1e30}}},
            "config, training.recipe.learning_rate: 1e+30 should be less than or equal to 1000",
        ),
        (
            {"targets": {"mine": {"kind": "values", "path": "x", "recipe": {"crop": 5_000_000}}}},
            "config, targets.mine.recipe.crop: 5000000 should be less than or equal to 4096",
        ),
        (
            {"targets": {False: {"kind": "values", "path": "x"}}},
            "config, targets.False: YAML does not read this name as text; quote it",
        ),
        ({"networks": "a\0b.tsv"}, "config, networks: holds a NUL character; remove it"),
        ({"extensions": [5]}, "config, extensions.0: 5 should be a valid string"),
        ({"extensions": "my_task.py"}, "config, extensions: 'my_task.py' should be a valid array"),
        ({"run": "a b"}, "config, run: 'a b' should match pattern"),
        (
            {"targets": {"a b": {"kind": "values", "path": "x"}}},
            "config, targets.a b: 'a b' should match pattern",
        ),
        (
            {"targets": {"mine": {"kind": "values"}}},
            "config, targets.mine: kind values needs path, a labelled folder or CSV file",
        ),
        (
            {"targets": {"mine": {"kind": "values", "path": "x", "recipe": {"stepps": 1}}}},
            "config, targets.mine.recipe.stepps: unknown key; did you mean steps?",
        ),
        (
            {"targets": {"mine": {"kind": "values", "path": "x", "recipe": {"scale": [2, 1]}}}},
            "config, targets.mine.recipe.scale: the smaller scale comes first",
        ),
    ],
)
def test_a_wrong_key_is_one_line_that_names_it(change, expected):
    assert message({"run": "mine"} | change).startswith(expected)


def test_what_holds_itself_is_one_line():
    values = yaml.safe_load("{run: mine, tasks: &all [*all]}")
    assert message(values).startswith("config: contains itself, by a YAML alias")


def test_a_key_that_is_missing_is_named():
    assert message({}) == "config, run: is missing; set it"


@pytest.mark.parametrize(
    ("key", "successor"),
    [("pascal", "targets"), ("target", "targets"), ("bank", "networks"), ("control", "n_random")],
)
def test_a_key_of_an_earlier_version_names_what_took_its_place(key, successor):
    line = message({"run": "mine", key: {"source": "voc"}})
    assert line.startswith(f"config, {key}: is now {successor}")
    assert line.endswith("see config/README.md")


def test_options_of_added_sources_are_kept_as_they_are():
    config, added = parse({"run": "mine", "shapes": {"n": 3}}, ["shapes", "other"])
    assert config.run == "mine"
    assert added == {"shapes": {"n": 3}, "other": {}}
    assert "source rsa has the name of another key" in message({"run": "mine"}, ["rsa"])
    assert message({"run": "mine", "shapes": 3}, ["shapes"]).startswith("config, shapes: 3 should")


def test_a_section_alone_is_named_as_the_caller_says():
    recipe = parse_section(TrainConfig, {"steps": 7}, "here")
    assert recipe == TrainConfig(steps=7)
    with pytest.raises(ConfigError, match=r"config, here\.steps: 0 should be greater than"):
        parse_section(TrainConfig, {"steps": 0}, "here")


def test_a_section_is_the_same_after_it_was_json():
    config, _ = parse(yaml.safe_load((ROOT / "config/demo.yaml").read_text()))
    target = config.targets["outdoor"]
    for section in (config.training.recipe, target.recipe, target.small.head, target):
        again = type(section)(**json.loads(section.model_dump_json()))
        assert again == section
    assert isinstance(target, TargetConfig)


def test_what_a_short_file_leaves_out_has_the_documented_values():
    """They are not the demo's."""
    config, _ = parse({"run": "mine"})
    assert config.encoder.strides == (2, 2, 1, 1)
    assert (config.rsa.bootstraps, config.rsa.constant_images) == (1000, "error")
    assert config.targets == {}
    assert (FinetuneConfig().steps, FinetuneConfig().crop, HeadConfig().rates) == (
        300,
        None,
        (1, 2, 3),
    )


@pytest.mark.parametrize("name", ["demo", "smoke", "nyuv2", "paper", "tutorial"])
def test_the_configurations_here_can_be_used(name):
    parse(yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("training: {recipe: {learning_rate: 1e-3}}", "write 0.001, without quotes"),
        ("rsa: {features_mb: 1e-9}", "write 1.0e-09, without quotes"),
        ("rsa: {bootstraps: 1e3}", "write 1000, without quotes"),
        ("stimuli: {n: '5'}", "write 5, without quotes and not in braces of --config"),
        ("folder: {recursive: 'true'}", "write true, without quotes"),
        ("stimuli: '{n: 5}'", "--config reads this as text: write it in a file"),
        ("tasks: '[edge2d]'", "--config reads this as text: write it in a file"),
    ],
)
def test_what_is_text_to_yaml_or_the_command_line_is_said_how_to_write(text, written):
    assert written in message({"run": "mine"} | yaml.safe_load(text))


def test_numbers_as_the_hint_writes_them_are_taken():
    text = "{training: {recipe: {learning_rate: 0.001}}, rsa: {features_mb: 1.0e-09}}"
    parse({"run": "mine"} | yaml.safe_load(text))


def test_words_where_a_number_belongs_get_no_such_hint():
    with pytest.raises(ConfigError) as error:
        parse({"run": "mine", "seed": "three"})
    assert str(error.value) == "config, seed: 'three' should be a valid integer"


def test_the_schema_in_the_repository_is_that_of_the_model():
    assert (ROOT / "workflow/schemas/config.schema.yaml").read_text() == schema()


def test_the_schema_describes_every_key():
    import jsonschema

    described = yaml.safe_load(schema())
    jsonschema.Draft202012Validator.check_schema(described)
    validator = jsonschema.Draft202012Validator(described)
    validator.validate(yaml.safe_load((ROOT / "config/demo.yaml").read_text()))
    assert list(validator.iter_errors({"run": "x", "stimulli": {}}))
    assert set(described["properties"]) == set(Config.model_fields)


def test_the_paper_s_settings():
    paper, _ = parse(yaml.safe_load((ROOT / "config/paper.yaml").read_text()))
    assert (paper.image_size, paper.stimuli.n) == (256, 500)
    assert (paper.taskonomy.train_buildings, paper.taskonomy.val_images) == (("hanson",), 2_090)
    target = paper.targets["voc"]
    recipe, small = target.recipe, target.small.recipe
    assert (recipe.crop, recipe.batch_size) == (513, 8)
    assert (recipe.learning_rate, recipe.weight_decay) == (1e-5, 1e-4)
    assert (small.learning_rate, small.steps) == (1e-4, 200_000)
