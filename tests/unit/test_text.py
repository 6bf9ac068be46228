import numpy as np
import pytest
from taskrsa.text import (
    MINUS,
    estimate,
    first_few,
    is_known,
    joined,
    metric_name,
    number,
    p_value,
    percent,
)


@pytest.mark.parametrize("value", [None, np.nan, -np.inf, "", "none"])
def test_what_is_not_known_is_left_blank(value):
    assert not is_known(value)
    assert number(value) == p_value(value) == estimate(value, 0, 1) == percent(value) == ""
    dash = {"unknown": "-"}
    assert number(value, **dash) == p_value(value, **dash) == percent(value, **dash) == "-"
    assert estimate(value, 0, 1, **dash) == "-"


def test_number():
    assert number(0.845) == "0.84"
    assert number("1234.5", 0) == "1234"
    assert number(-0.5, 1) == f"{MINUS}0.5"
    assert number(-0.004) == "0.00"  # a rounded zero has no sign
    assert number(-0.84, leading_zero=False) == f"{MINUS}.84"
    assert number(10.25, leading_zero=False) == "10.25"
    assert number(0.2, 0, leading_zero=False) == "0"


@pytest.mark.parametrize(
    ("value", "text", "bare"),
    [
        (0.0004, "< 0.001", "< .001"),
        (0.001, "0.001", ".001"),
        (0.0123, "0.012", ".012"),
        (0.05, "0.05", ".05"),
        (0.5, "0.50", ".50"),
        (1, "1.00", "1.00"),
    ],
)
def test_p_value(value, text, bare):
    assert p_value(value) == text
    assert p_value(value, leading_zero=False) == bare


def test_estimate():
    assert estimate(0.47, 0.44, 0.5) == "0.47 [0.44, 0.50]"
    assert estimate(0.47, None, 0.5) == "0.47"
    assert estimate(-0.01, -0.02, 0.1, 1, leading_zero=False) == ".0 [.0, .1]"
    assert percent(0.256) == "26 %"


def test_lists_of_names():
    assert joined(["a"]) == "a"
    assert joined(["a", "b", "c"]) == "a, b and c"
    assert first_few(["a", "b"]) == "a, b"
    assert first_few(range(8), 3) == "0, 1, 2 and 5 more"
    assert first_few("abc", 2, separator="; ") == "a; b and 1 more"


def test_names_of_metrics():
    assert metric_name("miou") == "mIoU"
    assert metric_name("accuracy") == "accuracy"
    assert metric_name("error_removed") == "share of the error removed"
    assert metric_name("log_loss") == "log loss"
