"""The table of latents against the classes, and the latents that are built from it."""

import dataclasses
import inspect

import pytest
import torch
from torch.distributions import Bernoulli, kl_divergence

import relaxit_torch
from relaxit_torch import BinaryConcrete, GaussianRelaxedBernoulli, RelaxedDistribution
from relaxit_vae import Config, InputError
from relaxit_vae.codes import Code, SignsOfNormal
from relaxit_vae.latents import (
    LATENTS,
    NOT_LATENTS,
    ROWS,
    Latent,
    LatentClass,
    kebab_case,
    readable,
)

each_latent = pytest.mark.parametrize("name", LATENTS)
each_choice = pytest.mark.parametrize(
    ("name", "hard"),
    [(row.name, hard) for row in ROWS for hard in (False, True)[: 1 + ("hard" in row.options)]],
)


def build(name, **options):
    return Latent.from_config(Config(latent=name, **options))


def two(latent, **options):
    """Different posteriors of two images."""
    torch.manual_seed(0)
    return latent.posterior(torch.randn(2, latent.parameter_size), **options)


def has(function):
    """Whether an operation is implemented."""
    try:
        function()
    except NotImplementedError:
        return False
    return True


# -- the table says what the classes say ----------------------------------------------------------


def test_every_relaxation_is_in_the_table_or_has_a_reason_not_to_be():
    relaxations = {
        kebab_case(name)
        for name, value in vars(relaxit_torch).items()
        if isinstance(value, type) and issubclass(value, RelaxedDistribution)
        if value is not RelaxedDistribution and value.has_rsample
    }
    assert relaxations == LATENTS.keys() | NOT_LATENTS.keys(), "add a row to relaxit_vae.latents"
    assert not LATENTS.keys() & NOT_LATENTS.keys()
    assert len(LATENTS) == len(ROWS)


def test_what_cannot_be_a_latent_has_no_uniform_member():
    distribution = relaxit_torch.GeneralizedGumbelSoftmax(4, 0.5, 1.0)
    assert NOT_LATENTS.keys() == {"generalized-gumbel-softmax"}
    assert not has(distribution.uniform)


@each_latent
def test_a_row_has_all_arguments_that_a_class_needs_and_no_other(name):
    row = LATENTS[name]
    arguments = inspect.signature(row.family).parameters
    stated = {*row.emits, *row.shares, *row.options}
    needed = {name for name, given in arguments.items() if given.default is given.empty}
    assert needed <= stated <= arguments.keys()


@each_latent
def test_a_row_has_every_option_that_the_class_takes(name):
    row = LATENTS[name]
    options = {field.name for field in dataclasses.fields(Config)}
    taken = options & inspect.signature(row.family).parameters.keys()
    assert row.options.keys() == taken - {*row.emits}


@each_latent
def test_the_defaults_of_a_row_agree_with_the_class(name):
    row = LATENTS[name]
    arguments = inspect.signature(row.family).parameters
    for option, value in row.options.items():
        default = arguments[option].default
        assert default in (inspect.Parameter.empty, value), option


@each_latent
def test_config_leaves_the_defaults_to_the_row(name):
    row = LATENTS[name]
    config = Config()
    for option in row.options:
        assert getattr(config, option) in (None, False), option


@each_choice
def test_a_closed_form_is_a_divergence_where_kl_divergence_has_it(name, hard):
    latent = build(name, hard=hard, variables=3, categories=4)
    posterior, prior = two(latent), latent.prior().expand(two(latent).batch_shape)
    closed_form = has(lambda: kl_divergence(posterior, prior))
    assert ("closed-form" in latent.divergences) == closed_form
    if latent.is_hard:
        assert latent.divergences[0] == "discrete"
    else:
        assert (latent.divergences[0] == "closed-form") == closed_form


@each_choice
def test_relaxed_is_a_divergence_where_it_is_finite(name, hard):
    latent = build(name, hard=hard, variables=3, categories=4)
    posterior, prior = two(latent, log_space=True), latent.prior(log_space=True)
    value = posterior.sample((100,))
    divergence = posterior.log_prob(value) - prior.log_prob(value)
    assert ("relaxed" in latent.divergences) == bool(divergence.isfinite().all())


@each_choice
def test_discrete_is_a_divergence_in_closed_form_or_of_hard_samples(name, hard):
    latent = build(name, hard=hard, variables=3, categories=4)
    code, prior = latent.code(two(latent)), latent.code_prior()
    batch = code.distribution.batch_shape
    closed_form = has(lambda: kl_divergence(code.distribution, prior.expand(batch)))
    assert code.has_closed_form_kl == closed_form
    discrete = latent.row.code != "relaxed"
    assert ("discrete" in latent.divergences) == (discrete and (closed_form or latent.is_hard))


@each_latent
def test_the_code_is_what_the_class_relaxes(name):
    latent = build(name, variables=3, categories=4)
    prior = latent.prior()
    if not has(lambda: prior.discrete):
        assert latent.row.code == "relaxed"
    elif not has(lambda: prior.harden(prior.sample())):
        assert latent.row.code == "discrete, matched in mean"
    else:
        assert latent.row.code == "discrete"


@each_choice
def test_log_space_is_where_relaxed_samples_have_such_a_form(name, hard):
    latent = build(name, hard=hard, variables=3, categories=4)
    has_form = has(lambda: latent.posterior(torch.zeros(latent.parameter_size)).log_space)
    assert latent.row.log_space == has_form or latent.is_hard


@each_latent
def test_a_mean_is_drawn_only_without_a_closed_form(name, monkeypatch):
    code = (latent := build(name, variables=3, categories=4)).code(latent.prior())
    closed_form = has(lambda: code.distribution.mean)
    drawn, sample = [], type(code.distribution).sample

    def recorded(*arguments):
        drawn.append(arguments)
        return sample(*arguments)

    monkeypatch.setattr(type(code.distribution), "sample", recorded)
    assert code.mean().shape == latent.code_shape
    assert bool(drawn) != closed_form


# -- latents --------------------------------------------------------------------------------------


def test_names_follow_the_classes():
    assert kebab_case("GumbelSoftmaxTopK") == "gumbel-softmax-top-k"
    assert LATENTS["binary-concrete"].family is BinaryConcrete


def test_an_unknown_name_is_answered_with_the_known_names():
    with pytest.raises(InputError, match=r"binary-concrete, .*gumbel-softmax, .*but got concrete"):
        build("concrete")
    with pytest.raises(InputError, match="got generalized-gumbel-softmax: it has one rate for all"):
        build("generalized-gumbel-softmax")


def test_a_row_decides_what_the_encoder_emits():
    latent = Latent(LatentClass(GaussianRelaxedBernoulli, emits=("loc", "scale")), variables=3)
    assert (latent.parameter_size, latent.code_shape) == (6, (3,))
    posterior = latent.posterior(torch.randn(5, latent.parameter_size))
    assert posterior.loc.shape == posterior.scale.shape == (5, 3)
    assert (posterior.scale > 0).all()


def test_an_event_of_correlated_bits_is_the_vector_of_all_variables():
    latent = build("correlated-relaxed-bernoulli", variables=3, categories=7)
    assert (latent.parameter_size, latent.code_shape) == (3, (3,))
    posterior = latent.posterior(torch.randn(5, 3))
    assert (posterior.batch_shape, posterior.event_shape) == ((5,), (3,))
    assert isinstance(latent.code(posterior).distribution, SignsOfNormal)


@pytest.mark.parametrize(("correlation", "learned"), [("learned", True), ("identity", False)])
def test_a_correlation_is_one_for_all_images_and_none_in_the_prior(correlation, learned):
    latent = build("correlated-relaxed-bernoulli", variables=3, correlation=correlation)
    (raw,) = latent.shared.values()
    assert (raw.shape, raw.requires_grad) == ((3,), learned)
    with torch.no_grad():
        raw += 0.5
    factor = latent.posterior(torch.zeros(3)).correlation_cholesky
    assert torch.allclose(factor.square().sum(-1), torch.ones(3))
    assert factor[1, 0] > 0
    assert torch.equal(latent.prior().correlation_cholesky, torch.eye(3))


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize(
    ("name", "event", "sizes"),
    [("binary-concrete", (), (20, 20)), ("gumbel-softmax", (16,), (128, 128))],
)
def test_default_sizes_and_shapes(name, event, sizes, hard):
    latent = build(name, hard=hard)
    assert (latent.parameter_size, latent.code_shape.numel()) == sizes
    encoded = torch.randn(5, latent.parameter_size, requires_grad=True)
    posterior = latent.posterior(encoded)
    assert posterior.hard == hard
    assert posterior.batch_shape == (5, latent.variables)
    assert posterior.event_shape == event
    value = posterior.rsample()
    assert torch.isin(value, torch.tensor([0.0, 1.0])).all() == hard
    (value * torch.randn_like(value)).sum().backward()
    assert encoded.grad is not None
    assert (encoded.grad != 0).all()


def test_the_encoder_emits_logits():
    latent = build("binary-concrete", variables=3)
    encoded = torch.randn(2, 3)
    assert torch.equal(latent.posterior(encoded).discrete.logits, encoded)


@each_latent
def test_every_latent_has_shapes_that_follow_from_its_options(name):
    latent = build(name, variables=3, categories=4)
    posterior = latent.posterior(torch.randn(2, latent.parameter_size))
    assert posterior.rsample().shape == (2, *latent.code_shape)
    assert latent.code_shape[0] == 3
    assert latent.code_shape[1:] in ((), (4,), (2, 4))
    assert latent.prior().batch_shape == posterior.batch_shape[1:]


@each_latent
def test_a_uniform_prior_makes_all_codes_equally_likely(name):
    latent = build(name, variables=3, categories=4)
    prior = latent.code_prior()
    if latent.row.code == "relaxed":
        assert torch.equal(prior.loc, torch.zeros(3, 4))
        return
    log_prob = prior.log_prob(prior.sample((7,)))
    assert torch.allclose(log_prob, log_prob.flatten()[0].expand_as(log_prob))


def test_a_uniform_prior_follows_the_options():
    prior = build("gaussian-relaxed-bernoulli", variables=2, scale=0.3).prior()
    assert torch.equal(prior.loc, torch.full((2,), 0.5))
    prior = build("hard-concrete", variables=2, low=-0.1, high=1.5).prior()
    assert torch.allclose(prior.discrete.probs, torch.tensor(0.5), atol=1e-6)


@pytest.mark.parametrize("kind", ["uniform", "learned"])
def test_only_a_learned_prior_is_trained(kind):
    latent = build("binary-concrete", variables=3, prior=kind)
    assert latent.raw_prior.requires_grad == (kind == "learned")
    with torch.no_grad():
        latent.raw_prior += 1
    logits = latent.code_prior().logits
    assert torch.equal(logits, torch.full((3,), float(kind == "learned")))


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("binary-concrete", "LogitBinaryConcrete"),
        ("gumbel-softmax", "ExpGumbelSoftmax"),
        ("hard-concrete", "HardConcrete"),
        ("logit-binary-concrete", "LogitBinaryConcrete"),
    ],
)
def test_densities_are_taken_in_log_space_where_there_is_one(name, form):
    latent = build(name, variables=3, categories=4)
    for distribution in (two(latent, log_space=True), latent.prior(log_space=True)):
        assert type(distribution) is getattr(relaxit_torch, form)
        assert distribution.dtype == torch.float64
        value = readable(distribution, distribution.rsample())
        assert ((value > 0) & (value < 1)).all() or name == "hard-concrete"


@each_latent
def test_decoders_read_the_same_value_from_log_space(name):
    latent = build(name, variables=3, categories=4)
    plain, precise = two(latent), two(latent, log_space=True)
    noise = plain.noise()
    values = [readable(d, d.relax(noise.to(d.dtype))) for d in (plain, precise)]
    assert torch.allclose(values[0].double(), values[1], atol=1e-5)


def test_hard_latents_have_no_log_space():
    latent = build("gumbel-softmax", hard=True)
    assert latent.posterior(torch.zeros(latent.parameter_size), log_space=True).hard


@pytest.mark.parametrize(
    ("name", "hard", "kl", "code"),
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
def test_default_divergences_and_codes(name, hard, kl, code):
    latent = build(name, hard=hard)
    assert (latent.divergences[0], latent.row.code) == (kl, code)


@pytest.mark.parametrize(
    ("name", "hard", "relaxed"),
    [
        ("binary-concrete", False, True),
        ("binary-concrete", True, False),
        ("straight-through-bernoulli", False, False),
        ("stochastic-times-smooth", False, False),
        ("logistic-normal-softmax", False, False),
    ],
)
def test_where_there_is_a_relaxed_model_besides_the_code(name, hard, relaxed):
    assert build(name, hard=hard).has_relaxed_model == relaxed


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
def test_options_that_the_class_does_not_take_are_refused(name, options):
    (option,) = options
    with pytest.raises(InputError, match=rf"--{option} must be an option .* {name} has none"):
        build(name, **options)


def test_what_the_class_refuses_is_reported_in_its_words():
    with pytest.raises(InputError, match="binary-concrete: temperature must be positive"):
        Latent(LATENTS["binary-concrete"], variables=3, options={"temperature": -1.0})
    with pytest.raises(InputError, match="hard-concrete: low must be negative"):
        build("hard-concrete", low=0.0)


def test_a_code_is_the_discrete_distribution():
    posterior = two(build("hard-concrete", variables=3))
    distribution = Code.of(posterior).distribution
    assert isinstance(distribution, Bernoulli)
    assert torch.equal(distribution.logits, posterior.discrete.logits)
