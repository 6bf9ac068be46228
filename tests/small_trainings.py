"""Real trainings of a second or less: small encoders that learn tasks on scikit-learn's digits."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, sobel
from sklearn.datasets import load_digits
from taskrsa.networks.encoder import SmallEncoder
from taskrsa.networks.spec import SmallSpec
from taskrsa.rsa.rdm import compute_rdm
from torch.nn.functional import mse_loss

TRAINED, STIMULI = slice(0, 1200), slice(1600, 1750)


def digit_tasks() -> dict[str, np.ndarray]:
    """Return what is to be learnt of each of 1,797 digits (N, K), standardised, by task."""
    digits = load_digits()
    x = digits.images / 8 - 1
    edges = np.stack([[sobel(one, axis) for axis in (0, 1)] for one in x])
    weights = (x + 1) / (x + 1).sum(axis=(1, 2), keepdims=True)
    rows, columns = np.mgrid[:8, :8]
    found = {
        "image": x,
        "digit": np.eye(10)[digits.target],
        "blurred": np.stack([gaussian_filter(one, 1) for one in x]),
        "edges across": edges[:, 1],
        "loops": np.eye(3)[np.array([1, 0, 0, 0, 0, 0, 1, 0, 2, 1])[digits.target]],
        "edges": np.hypot(*edges.swapaxes(0, 1)),
        "upper half": x[:, :4],
        "parity": np.eye(2)[digits.target % 2],
        "centre": np.stack([(weights * at).sum(axis=(1, 2)) for at in (rows, columns)], axis=1),
        "profile": np.concatenate([x.mean(axis=1), x.mean(axis=2)], axis=1),
    }
    flat = {name: values.reshape(len(x), -1) for name, values in found.items()}
    return {
        name: ((values - values.mean(axis=0)) / values.std()).astype(np.float32)
        for name, values in flat.items()
    }


def trained_rdm(
    labels: np.ndarray, seed: int, *, width: int = 4, steps: int = 100, n: int = 300
) -> np.ndarray:
    """Train an encoder on the first `n` digits and return its RDM of 150 others, condensed."""
    torch.manual_seed(seed)
    encoder = SmallEncoder(SmallSpec(width=width, reduction=2, input_channels=1))
    head = torch.nn.Linear(8 * 16, labels.shape[1])
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=5e-3)
    images = torch.from_numpy(load_digits().images[:, None] / 8 - 1).float()
    wanted = torch.from_numpy(labels)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        batch = torch.from_numpy(rng.integers(0, n, 48))
        optimizer.zero_grad()
        mse_loss(head(encoder(images[batch]).flatten(1)), wanted[batch]).backward()
        optimizer.step()
    encoder.eval()
    with torch.no_grad():
        features = encoder(images[STIMULI]).flatten(1).numpy()
    return compute_rdm(features).dissimilarities


def trained_bank(tasks: dict[str, np.ndarray], steps: int = 200) -> np.ndarray:
    """Return the RDMs of larger networks of the tasks, trained on more digits: (m, p)."""
    rows = [
        trained_rdm(labels, 1000, width=8, steps=steps, n=TRAINED.stop) for labels in tasks.values()
    ]
    return np.array(rows)
