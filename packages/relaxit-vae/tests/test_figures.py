import numpy as np
import torch
from PIL import Image

from relaxit_vae.figures import SCALE, save_curves, save_effects, save_grid, save_pairs


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def side(images):
    """Image pixels along a side of a grid: 28 each and a line around them."""
    return SCALE * (29 * images + 1)


def test_a_grid_has_ten_columns(tmp_path):
    save_grid(tmp_path / "a.png", torch.rand(20, 784))
    assert pixels(tmp_path / "a.png").shape == (side(2), side(10), 3)


def test_reconstructions_are_below_their_originals(tmp_path):
    originals = torch.linspace(0.1, 0.9, 20)[:, None].expand(20, 784)
    save_pairs(tmp_path / "a.png", originals, originals / 2)
    picture = pixels(tmp_path / "a.png")[..., 0]
    assert picture.shape == (side(4), side(10))
    centres = picture[SCALE * 15 :: SCALE * 29, SCALE * 15 :: SCALE * 29] / 255
    expected = originals[:, 0].view(2, 10).numpy()
    for row, shown in enumerate([expected[0], expected[0] / 2, expected[1], expected[1] / 2]):
        np.testing.assert_allclose(centres[row], shown, atol=0.01)


def test_the_loss_is_drawn_from_the_metrics(tmp_path):
    metrics = tmp_path / "metrics.csv"
    metrics.write_text("epoch,test/elbo,train/elbo\n0,-200,\n0,,-250\n1,-180,\n1,,-190\n")
    save_loss(tmp_path / "loss.png", metrics)
    assert pixels(tmp_path / "loss.png").shape == (600, 900, 4)
