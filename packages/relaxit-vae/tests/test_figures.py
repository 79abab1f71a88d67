import numpy as np
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from relaxit_vae.figures import (
    SCALE,
    save_comparison,
    save_curves,
    save_effects,
    save_grid,
    save_pairs,
    show_in_tensorboard,
)


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


def rows(**more):
    figures = {"train/elbo": -250.0, "test/elbo": -200.0, "train/kl": 3.0, "test/kl": 4.0}
    return [{"epoch": epoch, **figures, **more} for epoch in (1, 2)]


def test_curves_are_drawn_from_the_epochs(tmp_path):
    save_curves(tmp_path / "loss.png", rows())
    assert pixels(tmp_path / "loss.png").shape == (350, 900, 4)
    save_curves(tmp_path / "loss.png", rows(temperature=0.5))
    assert pixels(tmp_path / "loss.png").shape == (350, 1350, 4)


def test_what_a_bit_brightens_is_red_and_what_it_darkens_blue(tmp_path):
    effects = torch.full((3, 2, 10, 784), 0.5)
    effects[0, 1] = 1.0  # the first bit brightens everything
    effects[1, 1] = 0.0  # the second darkens
    save_effects(tmp_path / "a.png", effects)
    picture = pixels(tmp_path / "a.png").reshape(-1, 4)[:, :3].astype(int)
    colours, counts = np.unique(picture, axis=0, return_counts=True)
    frequent = {tuple(c) for c in colours[counts > 0.1 * len(picture)]}
    assert any(r > b + 60 for r, g, b in frequent)
    assert any(b > r + 60 for r, g, b in frequent)


def test_categories_have_a_column_each(tmp_path):
    save_effects(tmp_path / "a.png", torch.rand(2, 5, 10, 784))
    height, width, _ = pixels(tmp_path / "a.png").shape
    assert width > height


def test_a_comparison_has_room_for_all_panels(tmp_path):
    bars = {"a": (-100.0, 1.0), "b": (-90.0, float("nan"))}
    save_comparison(tmp_path / "a.png", {"bound": bars, "gap": {"a": (-2000.0, 1.0)}})
    assert pixels(tmp_path / "a.png").shape[1] == 900


def test_pictures_are_in_tensorboard(tmp_path):
    save_grid(tmp_path / "samples.png", torch.rand(20, 784))
    show_in_tensorboard(tmp_path / "logs", [tmp_path / "samples.png"])
    (events,) = (tmp_path / "logs").iterdir()
    log = EventAccumulator(str(events)).Reload()
    assert log.Tags()["images"] == ["samples"]
