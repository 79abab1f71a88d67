import pytest
import torch
from torch.distributions import OneHotCategorical

import relaxit_torch
from relaxit_torch import BinaryConcrete, RelaxedDistribution
from relaxit_torch.core import constraints
from relaxit_torch.numerics import noise
from relaxit_vae import Config, InputError, latents
from relaxit_vae.codes import Code, SignsOfNormal
from relaxit_vae.latents import Latent, emitted, kebab_case, readable, relaxations


class ToyRelaxation(RelaxedDistribution):
    """A point of the simplex. Emits two parameters; its others have defaults."""

    arg_constraints = {  # noqa: RUF012
        "loc": constraints.real_vector,
        "scale": constraints.positive,
        "delta": constraints.positive,
    }
    support = constraints.simplex
    base_noise = staticmethod(noise.normal)
    numbers = frozenset({"delta"})

    def __init__(self, loc, scale, delta=1.0, validate_args=None):
        parameters = {"loc": loc, "scale": scale, "delta": delta}
        super().__init__(parameters, validate_args=validate_args)

    @property
    def discrete(self):
        return OneHotCategorical(logits=self.loc - 1.5 * self.loc.new_ones(()).cumsum(-1))

    def harden(self, value):
        return torch.nn.functional.one_hot(value.argmax(-1), value.shape[-1]).to(value.dtype)

    def _relax(self, noise):
        return torch.softmax(self.loc + self.scale[..., None] * noise, -1)

    def _log_prob(self, value):
        return torch.zeros(value.shape[:-1])


class ToyVector(BinaryConcrete):
    """An event of bits that know of each other: one shared matrix."""

    arg_constraints = {  # noqa: RUF012
        "logits": constraints.real_vector,
        "correlation_cholesky": constraints.correlation_cholesky,
        "temperature": constraints.positive,
    }
    support = constraints.unit_cube

    def __init__(self, temperature, logits=None, correlation_cholesky=None, validate_args=None):
        parameters = {"temperature": temperature, "logits": logits}
        parameters["correlation_cholesky"] = correlation_cholesky
        RelaxedDistribution.__init__(self, parameters, validate_args=validate_args)

    @property
    def discrete(self):
        return self  # which has logits and a factor


@pytest.fixture(params=sorted(relaxations()))
def name(request):
    return request.param


def build(name, **options):
    return Latent.from_config(Config(latent=name, **options))


def test_names_follow_the_classes():
    assert kebab_case("GumbelSoftmaxTopK") == "gumbel-softmax-top-k"
    known = relaxations()
    assert known["binary-concrete"] is BinaryConcrete
    assert "relaxed-distribution" not in known


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match=r"binary-concrete, .*gumbel-softmax, .*but got concrete"):
        build("concrete")


def test_a_class_that_nobody_has_seen_is_built_from_its_constraints():
    latent = Latent(ToyRelaxation, variables=3, categories=4)
    assert emitted(ToyRelaxation).keys() == {"loc", "scale"}
    assert (latent.parameter_size, latent.code_size) == (3 * 4 + 3, 3 * 4)
    posterior = latent.posterior(torch.randn(5, latent.parameter_size))
    assert posterior.loc.shape == (5, 3, 4)
    assert posterior.scale.shape == (5, 3)
    assert (posterior.scale > 0).all()
    assert posterior.delta == 1.0


def test_an_event_of_free_coordinates_is_the_vector_of_all_variables():
    latent = Latent(ToyVector, variables=3, categories=7)
    assert (latent.parameter_size, latent.code_shape) == (3, (3,))
    assert latent.emitted == ["logits"]
    posterior = latent.posterior(torch.randn(5, 3))
    assert (posterior.batch_shape, posterior.event_shape) == ((5,), (3,))
    assert isinstance(Code.of(posterior).law, SignsOfNormal)


@pytest.mark.parametrize(("correlation", "learned"), [("learned", True), ("identity", False)])
def test_a_correlation_is_one_for_all_images_and_none_in_the_prior(correlation, learned):
    latent = Latent(ToyVector, variables=3, correlation=correlation)
    (raw,) = latent.shared.values()
    assert (raw.shape, raw.requires_grad) == ((3,), learned)
    with torch.no_grad():
        raw += 0.5
    factor = latent.posterior(torch.zeros(3)).correlation_cholesky
    assert torch.allclose(factor.square().sum(-1), torch.ones(3))
    assert factor[1, 0] > 0
    assert torch.equal(latent.prior().correlation_cholesky, torch.eye(3))


def test_a_new_class_is_found_by_its_name(monkeypatch):
    monkeypatch.setattr(latents.relaxit_torch, "ToyRelaxation", ToyRelaxation, raising=False)
    latent = build("toy-relaxation", categories=4)
    assert latent.family is ToyRelaxation
    assert latent.variables == 8


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize(
    ("name", "event", "sizes"),
    [("binary-concrete", (), (20, 20)), ("gumbel-softmax", (16,), (128, 128))],
)
def test_default_sizes_and_shapes(name, event, sizes, hard):
    latent = build(name, hard=hard)
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
    latent = Latent(BinaryConcrete, variables=3)
    encoded = torch.randn(2, 3)
    assert torch.equal(latent.posterior(encoded).discrete.logits, encoded)


def test_every_latent_has_shapes_that_follow_from_its_options(name):
    latent = build(name, variables=3, categories=4)
    posterior = latent.posterior(torch.randn(2, latent.parameter_size))
    assert posterior.rsample().shape == (2, *latent.code_shape)
    assert latent.code_shape[0] == 3
    assert latent.code_shape[1:] in ((), (4,), (2, 4))
    assert latent.prior().batch_shape == posterior.batch_shape[1:]


def test_every_uniform_prior_gives_each_value_the_same_probability(name):
    latent = build(name, variables=3, categories=4)
    prior = latent.code_prior()
    if latent.code_kind == "relaxed":
        return
    value = prior.sample((7,))
    log_prob = prior.log_prob(value)
    assert torch.allclose(log_prob, log_prob.flatten()[0].expand_as(log_prob))
    # The relaxed prior hardens to the same law, up to the accuracy of that of its class.
    relaxed = Code.of(latent.prior()).law
    assert torch.allclose(relaxed.log_prob(value), log_prob, atol=1e-3)


def test_a_uniform_prior_is_found_where_0_is_not_uniform():
    prior = build("gaussian-relaxed-bernoulli", variables=2, scale=0.3).prior()
    assert torch.allclose(prior.loc, torch.tensor(0.5), atol=1e-5)
    prior = build("hard-concrete", variables=2, low=-0.1, high=1.5).prior()
    assert torch.allclose(prior.discrete.probs, torch.tensor(0.5), atol=1e-5)


@pytest.mark.parametrize("kind", ["uniform", "learned"])
def test_only_a_learned_prior_is_trained(kind):
    latent = build("binary-concrete", variables=3, prior=kind)
    assert latent.raw_prior.requires_grad == (kind == "learned")
    with torch.no_grad():
        latent.raw_prior += 1
    logits = latent.code_prior().logits
    assert torch.equal(logits, torch.full((3,), float(kind == "learned")))


@pytest.mark.parametrize(
    ("name", "twin"),
    [
        ("binary-concrete", "LogitBinaryConcrete"),
        ("gumbel-softmax", "ExpGumbelSoftmax"),
        ("hard-concrete", "HardConcrete"),
        ("logit-binary-concrete", "LogitBinaryConcrete"),
    ],
)
def test_densities_are_taken_in_log_space_where_there_is_one(name, twin):
    latent = build(name, variables=3, categories=4)
    encoded = torch.randn(2, latent.parameter_size)
    posterior = latent.posterior(encoded, log_space=True)
    assert type(posterior) is getattr(relaxit_torch, twin)
    assert posterior.dtype == torch.float64
    value = readable(posterior, posterior.rsample())
    assert ((value > 0) & (value < 1)).all() or name == "hard-concrete"


def test_hard_latents_have_no_log_space():
    latent = build("gumbel-softmax", hard=True)
    assert latent.posterior(torch.zeros(latent.parameter_size), log_space=True).hard


@pytest.mark.parametrize(
    ("name", "hard", "kl", "kind"),
    [
        ("binary-concrete", False, "closed-form", "discrete"),
        ("binary-concrete", True, "discrete", "discrete"),
        ("gumbel-softmax", False, "closed-form", "discrete"),
        ("gumbel-softmax", True, "discrete", "discrete"),
        ("gumbel-softmax-top-k", False, "closed-form", "discrete"),
        ("gumbel-softmax-top-k", True, "discrete", "discrete"),
        ("correlated-relaxed-bernoulli", False, "relaxed", "discrete"),
        ("hard-concrete", False, "relaxed", "discrete"),
        ("invertible-gaussian", False, "closed-form", "discrete"),
        ("logistic-normal-softmax", False, "closed-form", "relaxed"),
        ("stochastic-times-smooth", False, "discrete", "discrete, matched in mean"),
        ("straight-through-bernoulli", False, "discrete", "discrete"),
        ("gaussian-relaxed-bernoulli", False, "closed-form", "discrete"),
    ],
)
def test_default_divergences_and_codes(name, hard, kl, kind):
    latent = build(name, hard=hard)
    assert (latent.default_kl(), latent.code_kind) == (kl, kind)


def test_a_support_that_moves_has_no_finite_divergence(name):
    assert build(name, variables=3).is_finite == (name != "stochastic-times-smooth")


def test_options_reach_the_class():
    latent = build("hard-concrete", temperature=0.25, low=-0.2, high=1.3, variables=3)
    posterior = latent.posterior(torch.zeros(3))
    assert (posterior.temperature, posterior.low, posterior.high) == (0.25, -0.2, 1.3)
    assert build("gaussian-relaxed-bernoulli", scale=0.3).posterior(torch.zeros(20)).scale == 0.3


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("stochastic-times-smooth", {"hard": True}),
        ("stochastic-times-smooth", {"temperature": 0.5}),
        ("binary-concrete", {"k": 3}),
        ("binary-concrete", {"correlation": "learned"}),
    ],
)
def test_options_that_the_class_has_not_are_refused(name, options):
    (option,) = options
    with pytest.raises(InputError, match=rf"--{option} must be an option .* {name} has none"):
        build(name, **options)


def test_what_the_class_refuses_is_reported_in_its_words():
    with pytest.raises(InputError, match="binary-concrete: temperature must be positive"):
        Latent(BinaryConcrete, variables=3, options={"temperature": -1.0})
    with pytest.raises(InputError, match="hard-concrete: low must be negative"):
        build("hard-concrete", low=0.0)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_prior_is_found_where_gradients_are_off(mode):
    with mode():
        prior = build("gaussian-relaxed-bernoulli", variables=2).prior()
        assert torch.allclose(prior.loc, torch.tensor(0.5), atol=1e-5)
