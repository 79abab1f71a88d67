import gzip

import pytest
import torch

from relaxit_vae import InputError, data
from relaxit_vae.data import Digits, IndexBatches, Piece, load_images, read_idx

HEADER = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28])
GOOD = HEADER + bytes(2 * 28 * 28)


@pytest.mark.parametrize(("split", "per_digit"), [("train", 600), ("test", 100)])
def test_shipped_data_has_the_same_number_of_each_digit(split, per_digit):
    images = load_images(split)
    assert images.pixels.shape == (10 * per_digit, 28, 28)
    assert images.labels.bincount().tolist() == [per_digit] * 10


def test_shipped_labels_belong_to_their_images():
    """The nearest mean image gives the digit in four of five cases, as on all of MNIST."""
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


def test_batches_pass_over_every_image_once():
    batches = list(IndexBatches(100, 30, seed=1))
    assert [(len(index), total) for index, total in batches] == [(30, 30)] * 3 + [(10, 10)]
    order = torch.cat([index for index, _ in batches])
    assert sorted(order.tolist()) == list(range(100))
    assert order.tolist() != list(range(100))
    assert torch.cat([index for index, _ in IndexBatches(100, 30)]).tolist() == list(range(100))


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_each_batch(processes):
    """Together they see what one process sees, also if the last batch is smaller."""
    alone = list(IndexBatches(61, 20, seed=1))
    shares = [
        list(IndexBatches(61, 20, seed=1, process=process, processes=processes))
        for process in range(processes)
    ]
    for number, (index, total) in enumerate(alone):
        assert torch.equal(torch.cat([share[number][0] for share in shares]), index)
        assert {share[number][1] for share in shares} == {total}


def test_the_order_is_a_function_of_seed_and_epoch():
    def order(seed, epoch):
        sampler = IndexBatches(50, 8, seed)
        sampler.set_epoch(epoch)
        return torch.cat([index for index, _ in sampler]).tolist()

    assert order(0, 3) == order(0, 3)
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4


def test_images_stay_where_they_are(few):
    assert few.to(torch.device("cpu")) is few


def test_evaluation_is_given_whole_blocks():
    test = load_images("test")
    digits = Digits(None, test, batch_size=130)
    index = torch.arange(130, 250)
    piece = digits.transfer_batch_to_device((index, 120), torch.device("cpu"), 0)
    assert isinstance(piece, Piece)
    assert (piece.first_block, piece.start, piece.stop) == (1, 30, 150)
    assert torch.equal(piece.images, test[100:300])


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
