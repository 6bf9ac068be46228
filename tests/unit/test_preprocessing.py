"""What networks are shown: the bank's input as its authors made it, and that of a user's row."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from taskrsa.networks.preprocessing import input_of, network_input
from taskrsa.tasks.dictionary import TASKS
from user_networks import IMAGES, row


def test_scaling_and_clipping_by_hand():
    rgb = np.array([0, 51, 255], np.uint8).reshape(1, 1, 1, 3)
    plain = network_input(rgb, clip=False).flatten().tolist()
    assert plain == pytest.approx([-1, -0.6, 1])
    assert network_input(rgb, clip=True).flatten().tolist() == pytest.approx([-0.8, -0.6, 0.8])


def test_inpainting_masks_the_centre_quarter():
    rgb = np.full((1, 8, 8, 3), 255, np.uint8)
    image = network_input(rgb, "masked", clip=False)
    assert (image[0, :, 2:6, 2:6] == 0).all()
    assert (image == 0).sum() == 3 * 16
    assert (image[0, :, :2] == 1).all()


def test_colorization_sees_lightness_only():
    rgb = np.zeros((1, 2, 2, 3), np.uint8)
    rgb[0, 0] = 255
    image = network_input(rgb, "lightness", clip=False)
    assert image.shape == (1, 1, 2, 2)
    assert image[0, 0].tolist() == [[pytest.approx(1, abs=1e-4)] * 2, [-1.0] * 2]


def test_denoising_adds_noise_only_where_asked():
    rgb = np.full((1, 32, 32, 3), 128, np.uint8)
    clean = network_input(rgb, "noisy", clip=False)
    assert clean.std() == 0
    noisy = network_input(rgb, "noisy", False, torch.Generator().manual_seed(0))
    # Variance 0.01 on [0, 1] is a deviation of 0.2 on [-1, 1].
    assert noisy.std().item() == pytest.approx(0.2, rel=0.05)


# --- what each of the 20 networks is shown ---

CLIPPED, WHOLE = (-0.8, -0.6, 0.8), (-1.0, -0.6, 1.0)
# A black, a grey and a white value of the corner; then the white centre, by hand.
SHOWN = {
    "autoencoder": (CLIPPED, 0.8),
    "denoise": (CLIPPED, 0.8),
    "edge2d": (CLIPPED, 0.8),
    "keypoint2d": (CLIPPED, 0.8),
    "segment2d": (CLIPPED, 0.8),
    "curvature": (CLIPPED, 0.8),
    "edge3d": (CLIPPED, 0.8),
    "keypoint3d": (CLIPPED, 0.8),
    "reshade": (CLIPPED, 0.8),
    "rgb2depth": (CLIPPED, 0.8),
    "rgb2mist": (CLIPPED, 0.8),
    "rgb2sfnorm": (CLIPPED, 0.8),
    "segment25d": (CLIPPED, 0.8),
    "room_layout": (CLIPPED, 0.8),
    "vanishing_point": (WHOLE, 1.0),
    "class_1000": (WHOLE, 1.0),
    "class_places": (WHOLE, 1.0),
    "segmentsemantic": (WHOLE, 1.0),
    "inpainting_whole": (WHOLE, 0.0),
}


@pytest.mark.parametrize("task", SHOWN)
def test_every_network_of_three_channels_is_shown_what_the_authors_showed_it(task):
    rgb = np.zeros((1, 8, 12, 3), np.uint8)
    rgb[0, 0, 0] = 0, 51, 255
    rgb[0, 2:6, 3:9] = 255
    definition = TASKS[task]
    image = network_input(rgb, definition.input, definition.clip)
    corner, centre = SHOWN[task]
    assert image.dtype == torch.float32
    assert image.shape == (1, 3, 8, 12)
    assert image[0, :, 0, 0].tolist() == pytest.approx(corner)
    assert image[0, :, 2:6, 3:9].unique().tolist() == pytest.approx([centre])
    # All else stays black, so that neither the mask nor the clipping goes further.
    assert (image != corner[0]).sum() == 2 + 3 * 4 * 6


def test_colorization_is_shown_lightness_in_one_channel():
    """CIE lightness of sRGB by hand: 116 Y^(1/3) - 16 above Y = 0.0089, on 0 to 100."""
    definition = TASKS["colorization"]
    colours = [[0] * 3, [255] * 3, [255, 0, 0], [0, 255, 0], [0, 0, 255], [119] * 3]
    rgb = np.array(colours, np.uint8).reshape(1, 2, 3, 3)
    image = network_input(rgb, definition.input, definition.clip)
    assert image.shape == (1, 1, 2, 3)
    lightness = [0, 100, 53.24, 87.73, 32.30, 50.03]
    expected = [value / 50 - 1 for value in lightness]
    assert image.flatten().tolist() == pytest.approx(expected, abs=2e-4)


def test_every_task_is_in_one_of_the_tables_above():
    assert {*SHOWN, "colorization"} == set(TASKS)
    assert [corner for corner, _ in SHOWN.values()].count(CLIPPED) == 14


# --- networks of a row ---


def test_input_is_resized_ordered_and_normalised():
    chosen = row(size="16", mean="0.1 0.2 0.3", std="1/255", channels="bgr")
    shown = input_of(chosen, False)(np.full((2, 32, 32, 3), (10, 20, 30), np.uint8))
    assert shown.shape == (2, 3, 16, 16)
    expected = (np.array([30, 20, 10]) / 255 - (0.1, 0.2, 0.3)) * 255
    np.testing.assert_allclose(shown[0, :, 5, 5], expected, atol=1e-3)
    means = IMAGES.reshape(5, 16, 2, 16, 2, 3).mean((2, 4)).transpose(0, 3, 1, 2) / 255
    halved = input_of(row(size="16", mean="0", std="1"), False)(IMAGES).numpy()
    assert np.corrcoef(halved.ravel(), means.ravel())[0, 1] > 0.9
    grey = input_of(row(channels="grey", mean="0", std="1"), False)(IMAGES[:1])
    np.testing.assert_allclose(
        grey[0, 0].numpy(), IMAGES[0] @ np.array([0.299, 0.587, 0.114]) / 255, atol=1e-6
    )
    white = input_of(row(channels="lightness", mean="0", std="1"), False)(np.full_like(IMAGES, 255))
    np.testing.assert_allclose(white.numpy(), 1, atol=1e-4)


def test_encoders_of_this_project_are_resized_clipped_and_shown_their_tasks_input():
    def shown(clip: bool = True, **cells: str) -> np.ndarray:
        return input_of(row("random", mean="", std="", channels="", **cells), clip)(IMAGES).numpy()

    np.testing.assert_array_equal(shown(), network_input(IMAGES))
    np.testing.assert_array_equal(shown(False), network_input(IMAGES, clip=False))
    np.testing.assert_array_equal(shown(size="32"), network_input(IMAGES))
    np.testing.assert_array_equal(shown(task="class_1000"), network_input(IMAGES, clip=False))
    lightness = network_input(IMAGES, "lightness", clip=False)
    np.testing.assert_array_equal(shown(task="colorization"), lightness)
    constant = np.full_like(IMAGES, 51)
    halved = row("random", mean="", std="", channels="", size="16", task="inpainting_whole")
    small = input_of(halved, True)(constant)
    expected = network_input(constant[:, :16, :16], "masked", clip=False)
    torch.testing.assert_close(small, expected)


def test_a_fourth_channel_is_opaque_or_0_as_its_mean_says():
    cells = {"channels": "rgba", "mean": "0.5 0.5 0.5 1", "std": "0.5", "size": "16"}
    shown = input_of(row(**cells), False)(IMAGES)
    assert shown.shape == (5, 4, 16, 16)
    assert (shown[:, 3] == 0).all()
    expected = input_of(row(size="16"), False)(IMAGES)
    torch.testing.assert_close(shown[:, :3], expected)
    opaque = input_of(row(**cells | {"mean": "0.5 0.5 0.5 0", "std": "1"}), False)(IMAGES)
    assert (opaque[:, 3] == 1).all()
