import gzip

import pytest
import torch

from relaxit_vae import InputError, data
from relaxit_vae.data import IndexBatches, batches, load_images, read_idx

HEADER = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28])
GOOD = HEADER + bytes(2 * 28 * 28)


@pytest.mark.parametrize(("split", "per_digit"), [("train", 600), ("test", 100)])
def test_shipped_data_has_as_many_of_each_digit(split, per_digit):
    images = load_images(split)
    assert images.pixels.shape == (10 * per_digit, 28, 28)
    assert images.labels.bincount().tolist() == [per_digit] * 10


def test_shipped_labels_belong_to_their_images():
    """The nearest mean image finds the digit four times out of five, as it does on all of MNIST."""
    training, test = load_images("train"), load_images("test")
    means = torch.stack([training[:][training.labels == digit].mean(0) for digit in range(10)])
    nearest = torch.cdist(test[:], means).argmin(dim=1)
    assert (nearest == test.labels).double().mean() > 0.75


def test_indexing_gives_grey_levels(few):
    images = few[torch.tensor([3, 1])]
    assert images.shape == (2, 784)
    assert torch.equal(images[0], few.pixels[3].flatten() / 255)
    assert (images.min(), images.max()) == (0, 1)


def test_of_each_digit_goes_through_the_digits_twice():
    images = load_images("test")
    chosen = images.of_each_digit(2)
    for position, image in enumerate(chosen):
        matches = (images[:] == image).all(dim=1).nonzero()
        assert images.labels[matches[0]].item() == position % 10
    assert not torch.equal(chosen[:10], chosen[10:])


def test_a_loader_passes_over_every_image_once(few):
    loader = batches(few, 30, seed=1)
    parts = list(loader)
    assert [len(part) for part in parts] == [30, 30, 30, 10]
    assert len(loader) == 4
    together = torch.cat(parts)
    assert not torch.equal(together, few[:])
    assert torch.equal(together.sum(1).sort().values, few[:].sum(1).sort().values)
    assert torch.equal(torch.cat(list(batches(few, 30))), few[:])


def test_the_order_is_a_function_of_seed_and_epoch():
    def order(seed, epoch):
        sampler = IndexBatches(50, 8, seed)
        sampler.set_epoch(epoch)
        return torch.cat(list(sampler)).tolist()

    assert order(0, 3) == order(0, 3)
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"\0\0\x08\x01" + GOOD[4:], "magic number must be 2051, but got 2049"),
        (b"<html>not found</html>", "magic number must be 2051"),
        (b"", "magic number must be 2051, but got 0"),
        (GOOD[:-1], "must have 1584 bytes for shape (2, 28, 28), but got 1583"),
        (GOOD + b"\0", "must have 1584 bytes for shape (2, 28, 28), but got 1585"),
        (HEADER[:9], "magic number|bytes for shape"),
    ],
)
@pytest.mark.parametrize("compress", [False, True])
def test_damaged_files_are_named(tmp_path, content, complaint, compress):
    path = tmp_path / ("images.gz" if compress else "images")
    path.write_bytes(gzip.compress(content) if compress else content)
    with pytest.raises(InputError, match="images") as error:
        read_idx(path, dimensions=3)
    assert any(part in str(error.value) for part in complaint.split("|"))


@pytest.mark.parametrize("content", [GOOD, gzip.compress(GOOD)[:-9]], ids=["plain", "truncated"])
def test_damaged_compression_is_named(tmp_path, content):
    path = tmp_path / "images.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"images\.gz: cannot be read"):
        read_idx(path, dimensions=3)


def test_a_good_file_is_read(tmp_path):
    path = tmp_path / "images"
    path.write_bytes(GOOD[:-1] + b"\x07")
    values = read_idx(path, dimensions=3)
    assert values.shape == (2, 28, 28)
    assert values[-1, -1, -1] == 7


@pytest.fixture
def damaged(mnist, tmp_path):
    """A copy of the data, to be damaged."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in (mnist / "MNIST" / "raw").iterdir():
        (raw / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_counts_that_differ_are_named(damaged):
    raw = damaged / "MNIST" / "raw"
    (raw / "train-labels-idx1-ubyte").write_bytes((raw / "t10k-labels-idx1-ubyte").read_bytes())
    with pytest.raises(InputError, match=r"must hold 100 labels, one per image, but got 50"):
        load_images("train", damaged)


def test_images_of_another_size_are_named(damaged):
    content = bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2]) + bytes(4)
    (damaged / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(InputError, match=r"must be 28 x 28, but got \(2, 2\)"):
        load_images("train", damaged)


def test_absent_data_is_downloaded_or_named(tmp_path, monkeypatch):
    asked = []

    def without_network(root, download):
        asked.append((root, download))
        raise RuntimeError("Error downloading train-images\nTried everything")

    monkeypatch.setattr(data, "MNIST", without_network)
    with pytest.raises(InputError, match=f"{tmp_path} does not, and downloading") as error:
        load_images("train", tmp_path)
    assert asked == [(tmp_path, True)]
    assert "\n" not in str(error.value)
