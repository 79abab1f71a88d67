import pytest
import torch
from torch.distributions import Normal, constraints

from relaxit_torch import BinaryConcrete, GumbelSoftmax, RelaxedDistribution, noise
from relaxit_vae import Config, InputError, latents
from relaxit_vae.latents import Latent, emitted, kebab_case, relaxations


class ToyRelaxation(RelaxedDistribution):
    """Emits a vector and a positive number; its two other arguments have defaults."""

    arg_constraints = {  # noqa: RUF012
        "loc": constraints.real_vector,
        "scale": constraints.positive,
        "delta": constraints.positive,
    }
    support = constraints.real_vector
    noise_law = staticmethod(noise.normal)
    numbers = frozenset({"delta"})

    def __init__(self, loc, scale, delta=1.0, validate_args=None):
        parameters = {"loc": loc, "scale": scale, "delta": delta}
        super().__init__(parameters, validate_args=validate_args)

    @property
    def discrete(self):
        return Normal(self.loc, self.scale[..., None])

    def harden(self, value):
        return value.sign()

    def _relax(self, noise):
        return self.loc + self.scale[..., None] * noise


def test_names_follow_the_classes():
    assert kebab_case("GumbelSoftmaxTopK") == "gumbel-softmax-top-k"
    known = relaxations()
    assert known["binary-concrete"] is BinaryConcrete
    assert known["gumbel-softmax"] is GumbelSoftmax
    assert "relaxed-distribution" not in known


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match=r"binary-concrete, .*gumbel-softmax, .*but got concrete"):
        Latent.from_config(Config(latent="concrete"))


def test_a_class_that_nobody_has_seen_is_built_from_its_constraints():
    latent = Latent(ToyRelaxation, variables=3, categories=4)
    assert emitted(ToyRelaxation).keys() == {"loc", "scale"}
    assert (latent.parameter_size, latent.code_size) == (3 * 4 + 3, 3 * 4)
    posterior = latent.posterior(torch.randn(5, latent.parameter_size))
    assert posterior.loc.shape == (5, 3, 4)
    assert posterior.scale.shape == (5, 3)
    assert (posterior.scale > 0).all()
    assert posterior.delta == 1.0


def test_a_new_class_is_found_by_its_name(monkeypatch):
    monkeypatch.setattr(latents.relaxit_torch, "ToyRelaxation", ToyRelaxation, raising=False)
    latent = Latent.from_config(Config(latent="toy-relaxation", categories=4))
    assert latent.family is ToyRelaxation
    assert latent.variables == 8


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize(
    ("name", "event", "sizes"),
    [("binary-concrete", (), (20, 20)), ("gumbel-softmax", (16,), (128, 128))],
)
def test_default_sizes_and_shapes(name, event, sizes, hard):
    latent = Latent.from_config(Config(latent=name, hard=hard))
    assert (latent.parameter_size, latent.code_size) == sizes
    encoded = torch.randn(5, latent.parameter_size, requires_grad=True)
    posterior = latent.posterior(encoded)
    assert posterior.hard == hard
    assert posterior.batch_shape == (5, latent.variables)
    assert posterior.event_shape == event
    value = posterior.rsample()
    assert torch.isin(value, torch.tensor([0.0, 1.0])).all() == hard
    (value * torch.randn_like(value)).sum().backward()
    assert (encoded.grad != 0).all()


def test_the_encoder_emits_logits():
    latent = Latent(BinaryConcrete, variables=3, categories=2, options={"temperature": 0.5})
    encoded = torch.randn(2, 3)
    assert torch.equal(latent.posterior(encoded).discrete.logits, encoded)


@pytest.mark.parametrize(
    ("name", "probability"), [("binary-concrete", 1 / 2), ("gumbel-softmax", 1 / 5)]
)
def test_the_prior_is_uniform(name, probability):
    prior = Latent.from_config(Config(latent=name, variables=3, categories=5)).prior()
    assert prior.batch_shape == (3,)
    assert torch.allclose(prior.log_prob(prior.sample()).exp(), torch.tensor(probability))


def test_options_reach_the_class():
    latent = Latent.from_config(Config(temperature=0.25, variables=3))
    assert latent.posterior(torch.zeros(3)).temperature == 0.25


def test_options_that_the_class_has_not_are_refused():
    with pytest.raises(InputError, match=r"--hard must be an option .* toy-relaxation has none"):
        Latent(ToyRelaxation, 3, 4, {"hard": True})


def test_what_the_class_refuses_is_reported_in_its_words():
    with pytest.raises(InputError, match="binary-concrete: temperature must be positive"):
        Latent(BinaryConcrete, 3, 4, {"temperature": -1.0})


def test_a_latent_without_discrete_codes_is_refused():
    with pytest.raises(InputError, match=r"stochastic-times-smooth: .* has no hardening map"):
        Latent.from_config(Config(latent="stochastic-times-smooth"))


@pytest.mark.parametrize("name", sorted(relaxations()))
def test_every_other_exported_relaxation_is_a_latent(name):
    if name == "stochastic-times-smooth":
        return
    latent = Latent.from_config(Config(latent=name, variables=3, categories=4))
    encoded = torch.randn(2, latent.parameter_size)
    assert latent.posterior(encoded).harden(latent.posterior(encoded).rsample()).shape[:2] == (2, 3)
