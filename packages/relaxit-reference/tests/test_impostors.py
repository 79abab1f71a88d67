"""Tests of `check_distribution`: it names the fault of every impostor and passes the honest."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit, logsumexp, xlogy

import relaxit_reference
from parametrisation import each_spec
from relaxit_reference import Report, Spec, check_distribution, load_spec, load_specs

SPECS = {str(variant): variant for spec in load_specs() for variant in spec.with_variants()}
ZOO = Path(__file__).parent / "impostors"


def impostors() -> list[Any]:
    """Every impostor of the zoo."""
    found = []
    for path in sorted(ZOO.glob("*.py")):
        location = importlib.util.spec_from_file_location(f"impostors_{path.stem}", path)
        assert location is not None
        assert location.loader is not None
        module = importlib.util.module_from_spec(location)
        location.loader.exec_module(module)
        classes = [kind for kind in vars(module).values() if hasattr(kind, "pretends")]
        found += [pytest.param(kind, id=f"{kind.pretends}: {kind.__name__}") for kind in classes]
    return found


IMPOSTORS = impostors()


@cache
def examined(impostor: Any) -> Report:
    return check_distribution(impostor, SPECS[impostor.pretends])


def of(name: str) -> Any:
    (kind,) = (p.values[0] for p in IMPOSTORS if p.values[0].__name__ == name)
    return kind


@pytest.mark.equivalence
@pytest.mark.parametrize("impostor", IMPOSTORS)
def test_an_impostor_is_rejected_and_its_fault_named(impostor: Any) -> None:
    report = examined(impostor)
    assert not report.passed
    words = (impostor.named,) if isinstance(impostor.named, str) else impostor.named
    for word in words:
        assert any(word in difference.message for difference in report.differences), str(report)
    assert impostor.__doc__, "an impostor says what its fault is"


def test_the_zoo_has_an_impostor_for_every_variant_of_its_families() -> None:
    pretends = {parameter.values[0].pretends for parameter in IMPOSTORS}
    for path in ZOO.glob("*.py"):
        for variant in load_spec(path.stem).with_variants():
            assert str(variant) in pretends, f"{path.name} has no impostor of {variant}"


def the_reference(spec: Spec) -> SimpleNamespace:
    def make(parameters: dict[str, Any]) -> Any:
        return spec.reference_class(**parameters, **spec.arguments)

    return SimpleNamespace(
        relax=lambda noise, **parameters: make(parameters).relax(noise),
        log_prob=lambda value, **parameters: make(parameters).logpdf(value),
    )


@each_spec
def test_the_reference_passes(spec: Spec) -> None:
    report = check_distribution(the_reference(spec), spec)
    report.raise_for_differences()
    assert report
    assert str(report) == f"{spec}: {len(report.checks)} of {len(report.checks)} checks held."


@pytest.mark.parametrize("seed", [1, 2, 3])
@each_spec
def test_the_reference_passes_whatever_the_seed(spec: Spec, seed: int) -> None:
    check_distribution(the_reference(spec), spec, seed=seed).raise_for_differences()


@each_spec
def test_either_function_may_be_missing(spec: Spec) -> None:
    whole = the_reference(spec)
    for candidate in (
        SimpleNamespace(relax=whole.relax),
        SimpleNamespace(relax=whole.relax, log_prob=None),
        (whole.relax, None),
    ):
        report = check_distribution(candidate, spec)
        assert report.passed
        assert all(check.startswith("relax") for check in report.checks)
    report = check_distribution((None, whole.log_prob), spec)
    assert report.passed
    assert all(check.startswith("log_prob") for check in report.checks)


# Honest implementations: the mathematics of the reference by other formulas.


def binary_relax(noise, temperature, probs=None, logits=None):
    odds = np.log(probs) - np.log1p(-probs) if logits is None else logits
    return 1 / (1 + np.exp(-(odds + noise) / temperature))


def binary_log_prob(value, temperature, probs=None, logits=None):
    odds = np.log(probs) - np.log1p(-probs) if logits is None else logits
    c = np.clip(value, 5e-324, 1 - 2**-53)
    z = temperature * (np.log(c) - np.log1p(-c)) - odds
    softplus = np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))
    return np.log(temperature) + z - 2 * softplus - np.log(c) - np.log1p(-c)


def binary_pmf(value, temperature, probs=None, logits=None):
    if logits is None:
        return np.where(value == 1, np.log(probs), np.log1p(-probs)) + 0 * temperature
    return -np.logaddexp(0, np.where(value == 1, -logits, logits)) + 0 * temperature


def log_cosh(x):
    return np.abs(x) + np.log1p(np.exp(-2 * np.abs(x))) - np.log(2)


def categories_relax(noise, temperature, probs=None, logits=None):
    scores = (np.log(probs) if logits is None else logits) + noise
    weights = np.exp((scores - scores.max(-1, keepdims=True)) / np.asarray(temperature)[..., None])
    return weights / weights.sum(-1, keepdims=True)


def log_space_relax(noise, temperature, probs=None, logits=None):
    scores = ((np.log(probs) if logits is None else logits) + noise) / temperature[..., None]
    return scores - logsumexp(scores, axis=-1, keepdims=True)


def log_space_log_prob(value, temperature, probs=None, logits=None):
    """The density of the K - 1 differences, an integral of exponentials, with Gamma(K) by hand."""
    log_pi = np.log(probs) if logits is None else logits
    possible = log_pi > -np.inf
    count = np.broadcast_to(possible.sum(-1), value.shape[:-1])
    with np.errstate(invalid="ignore"):
        terms = np.where(possible, log_pi - temperature[..., None] * value, -np.inf)
    shares = terms - logsumexp(terms, axis=-1, keepdims=True)
    factorial = np.array([0.0, *np.cumsum(np.log(np.maximum(np.arange(9), 1)))])[count]
    outside = np.any(~possible & (value > -np.inf), axis=-1)
    log_prob = factorial + (count - 1) * np.log(temperature)
    return np.where(outside, -np.inf, log_prob + np.where(possible, shares, 0).sum(-1))


def categories_log_prob(value, temperature, probs=None, logits=None):
    log_pi = np.log(probs) if logits is None else logits
    possible = np.broadcast_to(log_pi > -np.inf, value.shape)
    with np.errstate(divide="ignore"):
        y = np.log(np.where(possible & (value == 0), 5e-324, value))
    jacobian = np.where(possible, y, 0).sum(-1)
    return log_space_log_prob(y, temperature, probs, logits) - jacobian


def categories_pmf(value, temperature, probs=None, logits=None):
    if logits is not None:
        chosen = np.where(value == 1, logits, 0).sum(-1)
        return chosen - logsumexp(logits, axis=-1) + 0 * temperature
    return xlogy(value, probs / probs.sum(-1, keepdims=True)).sum(-1) + 0 * temperature


def softmax_plus_plus(noise, temperature, loc, scale, delta):
    odds = (loc + scale * noise) / temperature[..., None] - np.log(delta)[..., None]
    top = np.maximum(odds.max(-1, keepdims=True), 0)
    weights = np.concatenate([np.exp(odds - top), np.exp(-top)], axis=-1)
    return weights / weights.sum(-1, keepdims=True)


def softmax_plus_plus_log_prob(value, temperature, loc, scale, delta):
    """The normal density of the log-odds, whose means and scales are known."""
    log_c, rate = np.log(np.maximum(value, 5e-324)), temperature[..., None]
    noise = (log_c[..., :-1] - log_c[..., -1:] + np.log(delta)[..., None] - loc / rate) * rate
    log_scale = np.log(scale / rate) + np.log(2 * np.pi) / 2
    return -np.sum((noise / scale) ** 2 / 2 + log_scale, axis=-1) - log_c.sum(-1)


def softmax_of_normal(noise, loc, scale=None, covariance_matrix=None, scale_tril=None):
    if scale is None:
        L = np.linalg.cholesky(covariance_matrix) if scale_tril is None else scale_tril
        noise = np.einsum("...ij,...j->...i", L, noise)
    x = loc + noise * (1 if scale is None else scale)
    weights = np.exp(x - x.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def softmax_of_normal_log_prob(value, loc, scale=None, covariance_matrix=None, scale_tril=None):
    """The density of the vector, integrated over the constant that the softmax does not see."""
    if covariance_matrix is not None:
        scale_tril = np.linalg.cholesky(covariance_matrix)
    if scale_tril is None:
        scale_tril = scale[..., None] * np.eye(loc.shape[-1])
    log_c, ones = np.log(np.maximum(value, 5e-324)), np.ones((*scale_tril.shape[:-1], 1))
    tightest = np.argmin(np.sum(scale_tril**2, axis=-1), axis=-1)[..., None]
    d = log_c - loc
    d = d - np.take_along_axis(d, np.broadcast_to(tightest, (*d.shape[:-1], 1)), axis=-1)
    w = np.linalg.solve(scale_tril, d[..., None])[..., 0]
    u = np.linalg.solve(scale_tril, ones)[..., 0]
    precision = np.sum(u * u, axis=-1)
    w = w - u * (np.sum(u * w, axis=-1) / precision)[..., None]
    log_det = 2 * np.linalg.slogdet(scale_tril)[1] + np.log(precision)
    free = value.shape[-1] - 1
    return -(np.sum(w * w, axis=-1) + log_det + free * np.log(2 * np.pi)) / 2 - log_c.sum(-1)


HONEST = {
    "BinaryConcrete": (binary_relax, binary_log_prob),
    "BinaryConcrete(hard=True)": (
        lambda noise, **parameters: np.round(binary_relax(noise, **parameters)),
        binary_pmf,
    ),
    "LogitBinaryConcrete": (
        lambda noise, temperature, probs=None, logits=None: (
            noise / temperature + (logit(probs) if logits is None else logits) / temperature
        ),
        lambda value, temperature, probs=None, logits=None: (
            np.log(temperature / 4)
            - 2 * log_cosh((temperature * value - (logit(probs) if logits is None else logits)) / 2)
        ),
    ),
    "GumbelSoftmax": (categories_relax, categories_log_prob),
    "GumbelSoftmax(hard=True)": (
        lambda noise, temperature, probs=None, logits=None: np.where(
            (s := (np.log(probs) if logits is None else logits) + noise) < s.max(-1)[..., None],
            0.0,
            1.0,
        ),
        categories_pmf,
    ),
    "ExpGumbelSoftmax": (log_space_relax, log_space_log_prob),
    "InvertibleGaussian": (softmax_plus_plus, softmax_plus_plus_log_prob),
    "LogisticNormalSoftmax": (softmax_of_normal, softmax_of_normal_log_prob),
}


@pytest.mark.equivalence
@pytest.mark.parametrize("name", HONEST)
@pytest.mark.parametrize("seed", [0, 1])
def test_an_honest_implementation_by_other_formulas_passes(name: str, seed: int) -> None:
    check_distribution(HONEST[name], SPECS[name], seed=seed).raise_for_differences()


# The report.


@pytest.mark.parametrize("impostor", IMPOSTORS)
def test_the_reproduction_of_a_difference_runs_as_it_stands(impostor: Any) -> None:
    for difference in examined(impostor).differences:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(difference.reproduction, {})
        assert output.getvalue().strip()


def test_the_reproduction_prints_what_the_candidate_must_return() -> None:
    (difference,) = examined(of("TemperatureMultiplies")).differences
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(difference.reproduction, {})
    assert f"must return {output.getvalue().strip()}." in difference.message


def test_a_report_says_which_checks_held_and_raises() -> None:
    report = examined(of("BetaPasted"))
    assert not report
    assert len(report.checks) > len(report.differences) == 1
    assert report.differences[0].check in report.checks
    assert str(report).startswith("BinaryConcrete: 6 of 7 checks held.")
    assert "import relaxit_reference" in str(report)
    with pytest.raises(AssertionError, match="Beta distribution"):
        report.raise_for_differences()


def test_one_seed_gives_one_report() -> None:
    kind = of("ValuesClamped")
    again = check_distribution(kind, SPECS[kind.pretends], seed=0)
    assert again == examined(kind)
    assert check_distribution(kind, SPECS[kind.pretends], seed=1) != again


def test_an_exception_of_the_candidate_is_a_difference() -> None:
    def relax(noise, temperature, probs=None, logits=None):
        raise RuntimeError("not today")

    report = check_distribution((relax, None), "binary_concrete")
    (difference,) = report.differences
    assert "It raised RuntimeError: not today" in difference.message
    assert "temperature of shape" in difference.message


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda c, t, o: binary_relax(c, t, None, o) + 0j, "complex numbers"),
        (lambda c, t, o: binary_relax(c, np.maximum(t, 0.02), None, o), "It differs at"),
        (lambda c, t, o: binary_relax(c, t, None, o)[:, :], "without samples: it does not"),
    ],
)
def test_faults_at_the_ends_of_what_may_be_given_are_found(function: Any, words: str) -> None:
    def relax(noise, temperature, probs=None, logits=None):
        return function(noise, temperature, logit(probs) if logits is None else logits)

    report = check_distribution((relax, None), "binary_concrete")
    assert not report.passed
    assert words in str(report)


@pytest.mark.parametrize("wrong", [4, 7])
def test_a_fault_for_a_certain_number_of_categories_is_found(wrong: int) -> None:
    def relax(noise, temperature, probs=None, logits=None):
        return categories_relax(
            noise, temperature * (1 + (noise.shape[-1] == wrong)), probs, logits
        )

    assert not check_distribution((relax, None), "gumbel_softmax").passed


def test_an_exception_at_the_second_call_is_a_difference() -> None:
    calls: list[int] = []

    def relax(noise, **parameters):
        calls.append(1)
        if len(calls) > 50:
            raise RuntimeError("used up")
        return noise

    report = check_distribution((relax, None), "binary_concrete")
    assert "It raised RuntimeError: used up" in report.differences[0].message


def test_an_answer_that_is_not_an_array_of_numbers_is_a_difference() -> None:
    report = check_distribution((lambda noise, **parameters: "nothing", None), "binary_concrete")
    assert "It raised ValueError" in report.differences[0].message


def test_both_functions_are_examined_when_both_are_wrong() -> None:
    both = SimpleNamespace(relax=lambda noise, **_: noise, log_prob=lambda value, **_: value)
    report = check_distribution(both, "gumbel_softmax")
    assert {difference.check.split()[0] for difference in report.differences} == {
        "relax",
        "log_prob",
    }


def test_a_candidate_may_spoil_its_arguments() -> None:
    def relax(noise, temperature, probs=None, logits=None):
        noise += logit(probs) if logits is None else logits
        noise /= temperature
        return expit(noise)

    with pytest.raises(ValueError, match="broadcast"):  # parameters of a larger batch shape
        relax(np.zeros(1), np.ones(2), probs=np.full(2, 0.5))
    assert np.all(np.isfinite(relax(np.zeros(2), np.ones(2), probs=np.full(2, 0.5))))
    check_distribution((relax, None), "binary_concrete").raise_for_differences()


def test_a_candidate_without_functions_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError, match="must have a function relax or log_prob"):
        check_distribution(object(), "binary_concrete")
    with pytest.raises(relaxit_reference.SpecError, match="no such specification"):
        check_distribution((len, len), "normal")


def test_the_checker_does_not_need_hypothesis() -> None:
    script = (
        "import sys, relaxit_reference as r; "
        "r.check_distribution((lambda noise, **_: noise, None), 'binary_concrete'); "
        "sys.exit('hypothesis' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
