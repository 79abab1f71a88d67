import json

import pytest

from relaxit_vae import Config, InputError


def test_options_survive_the_way_through_json(tmp_path):
    config = Config(
        latent="gumbel-softmax", hard=True, hidden=(7, 5), temperature=0.3, data_dir=tmp_path
    )
    config.save(tmp_path / "config.json")
    assert Config.load(tmp_path / "config.json") == config


def test_a_file_may_hold_some_options_only(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"epochs": 3, "hidden": "8,4", "final_temperature": 1, "k": null}')
    assert Config.load(path) == Config(epochs=3, hidden=(8, 4), final_temperature=1.0)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"epochs": "five"}, "--epochs must be an integer, but got five"),
        ({"epochs": True}, "--epochs must be an integer, but got True"),
        ({"hard": 1}, "--hard must be true or false, but got 1"),
        ({"learning_rate": None}, "--learning-rate must be a number, but got None"),
        ({"kl": "exact"}, "--kl must be discrete, relaxed, closed-form or null, but got exact"),
        ({"hidden": [8, "x"]}, "--hidden must be sizes such as 512,256"),
        ({"tau": 1}, "options must be those of Config"),
        ([1], "must hold options by name"),
        ("{", "must hold options as JSON"),
    ],
)
def test_what_does_not_parse_is_named_with_its_file(tmp_path, values, complaint):
    path = tmp_path / "config.json"
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    with pytest.raises(InputError, match=complaint) as error:
        Config.load(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
