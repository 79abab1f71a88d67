import pytest
from PIL import Image

import relaxit_torch

pytest.importorskip("relaxit_torch.laplace_bridge")

from relaxit_vae import InputError, bridge


def test_the_bridge_leads_back(tmp_path):
    assert hasattr(relaxit_torch, "laplace_bridge")
    found = bridge(tmp_path / "bridge.png", concentration=(2.0, 3.0, 0.7))
    assert found.concentration == (2.0, 3.0, 0.7)
    assert found.error < 1e-10
    near = bridge(tmp_path / "bridge.png", concentration=(20.0, 30.0, 7.0))
    assert 0 < near.kl < found.kl  # a concentrated Dirichlet is nearly logistic-normal
    with Image.open(tmp_path / "bridge.png") as picture:
        assert picture.width > 2.5 * picture.height


def test_it_is_random_unless_told(tmp_path):
    first, again, other = (bridge(tmp_path / "a.png", seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.concentration != other.concentration


@pytest.mark.parametrize("numbers", [(1.0, 2.0), (1.0, 2.0, 0.0), (1.0, float("inf"), 1.0)])
def test_anything_but_three_positive_numbers_is_refused(tmp_path, numbers):
    with pytest.raises(InputError, match="three positive numbers"):
        bridge(tmp_path / "a.png", concentration=numbers)
    assert list(tmp_path.iterdir()) == []
