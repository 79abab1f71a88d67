"""The loader of the specifications: what it reads, and its errors for wrong files."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import relaxit_reference
from parametrisation import each_spec
from relaxit_reference import Spec, SpecError, domains, load_spec, load_specs
from relaxit_reference.spec import CLOSED_FORMS, SPECS, Property, Variant, read_spec

FOLDER = Path(__file__).parents[3] / "specs"
ORIGINAL = (SPECS / "gumbel_softmax.toml").read_text(encoding="utf-8")


def test_every_file_is_loaded() -> None:
    stems = sorted(path.stem for path in FOLDER.glob("*.toml"))
    assert [spec.name for spec in load_specs()] == stems
    assert stems


def test_the_package_carries_the_files_of_the_repository() -> None:
    for path in FOLDER.glob("*.toml"):
        assert (SPECS / path.name).read_bytes() == path.read_bytes()


def test_a_specification_is_read_once() -> None:
    assert load_spec("gumbel_softmax") is load_spec("gumbel_softmax")


@each_spec
def test_typical_values_lie_in_the_domain(spec: Spec) -> None:
    for parameter in spec.parameters.values():
        assert parameter.typical is not None
        low, high = parameter.typical
        assert low < high
        shape = (3,) * max(1, parameter.domain.event_dim)
        mixed = np.resize([0.0, 0.5, 1.0, 0.5], shape)
        for share in (np.zeros(shape), np.full(shape, 0.5), np.ones(shape), mixed):
            assert np.all(parameter.domain.contains(parameter.domain.place(share, (low, high))))


@each_spec
def test_a_density_has_atoms_exactly_if_it_is_mixed(spec: Spec) -> None:
    assert bool(spec.density.atoms) == (spec.density.kind == "mixed")
    assert spec.discrete or not spec.relax.support.discrete


def test_a_variant_has_the_arguments_and_tables_that_it_states() -> None:
    soft, hard, *decoupled = load_spec("gumbel_softmax").with_variants()
    assert (str(soft), str(hard)) == ("GumbelSoftmax", "GumbelSoftmax(hard=True)")
    assert hard.arguments == {"hard": True}
    assert hard.relax.gradient == "straight_through"
    assert hard.relax.support == domains.OneHot()
    assert hard.noise == soft.noise
    assert hard.parameters == soft.parameters
    assert hard.closed_forms != soft.closed_forms
    assert [str(each) for each in decoupled] == [
        "GumbelSoftmax(backward_temperature)",
        "GumbelSoftmax(hard=True, backward_temperature)",
    ]
    for each in decoupled:
        assert each.parameters.keys() - soft.parameters.keys() == {"backward_temperature"}
        assert all("backward_temperature" in names for names in each.parameterisations())


def test_a_count_is_the_number_that_arguments_give_to_it() -> None:
    spec = load_spec("plackett_luce")
    assert spec.counts.keys() == {"k"}
    assert spec.arguments == {"k": 2}
    assert spec.parameters["logits"].domain == domains.CategoryLogits(least=2)
    assert spec.parameterisations() == [("probs",), ("logits",)]
    assert load_spec("plackett_luce", k=3).parameters["probs"].domain == domains.Simplex(least=3)


def test_the_name_of_a_count_must_be_among_the_arguments(tmp_path: Path) -> None:
    text = (SPECS / "plackett_luce.toml").read_text(encoding="utf-8")
    path = tmp_path / "plackett_luce.toml"
    path.write_text(text.replace('least = "k"', 'least = "n"', 1), encoding="utf-8")
    message = "plackett_luce.toml: parameters: probs: domain: least: arguments has no number"
    with pytest.raises(SpecError, match=message):
        read_spec(path)


def test_parameterisations_take_one_of_each_exclusive_group() -> None:
    spec = load_spec("gumbel_softmax")
    assert spec.parameterisations() == [("temperature", "probs"), ("temperature", "logits")]


# Wrong files: a change of a real file, and the words that the error must have.

WRONG = {
    "not TOML": ("name = ", "name = = ", "not TOML"),
    "a misspelt key": ("event_dim = ", "event_dims = ", "unknown key 'event_dims'"),
    "a misspelt key in a table": (
        'gradient = "pathwise"',
        'gradients = "pathwise"',
        "relax: unknown key 'gradients'",
    ),
    "a misspelt key in a parameter": (
        "meaning = ",
        "meanings = ",
        "parameters: temperature: unknown key 'meanings'",
    ),
    "a misspelt key in a variant": (
        "relax.gradient = ",
        "relax.gradients = ",
        "variants: relax.gradients: unknown key",
    ),
    "a missing key": ("event_dim = 1\n", "", "missing key 'event_dim'"),
    "a missing table": (
        re.findall(r"\[noise\].*?(?=\[relax\])", ORIGINAL, re.DOTALL)[0],
        "",
        "missing key 'noise'",
    ),
    "a missing key in a table": (
        'distribution = "gumbel"\n',
        "",
        "noise: missing key 'distribution'",
    ),
    "a string for a number": ("event_dim = 1", 'event_dim = "1"', "event_dim: must be of type int"),
    "a boolean for a number": (
        "event_dim = 1",
        "event_dim = true",
        "event_dim: must be of type int",
    ),
    "a number for a string": (
        'title = "Gumbel-Softmax"',
        "title = 3",
        "title: must be of type str",
    ),
    "a string for a table": (
        'classes = { reference = "GumbelSoftmax", torch = "GumbelSoftmax" }',
        'classes = "GumbelSoftmax"',
        "classes: must be a table",
    ),
    "three ends of a range": (
        "typical = [0.01, 10.0]",
        "typical = [0.01, 1.0, 10.0]",
        "typical: must have 2 entries",
    ),
    "a word that is no option": (
        'kind = "relaxation"',
        'kind = "relaxed"',
        "kind: must be one of relaxation, discrete, map, but got 'relaxed'",
    ),
    "an unknown distribution of noise": (
        'distribution = "gumbel"',
        'distribution = "cauchy"',
        "distribution: must be one of uniform",
    ),
    "an unknown domain": (
        '{ kind = "simplex" }',
        '{ kind = "simplices" }',
        "domain: kind must be one of real,",
    ),
    "a domain with a key that it does not have": (
        '{ kind = "positive" }',
        '{ kind = "positive", low = 0.0 }',
        "domain: a domain of kind 'positive' does not take these keys",
    ),
    "a domain without a key that it needs": (
        '{ kind = "positive" }',
        '{ kind = "interval", low = 0.0 }',
        "domain: a domain of kind 'interval' does not take these keys",
    ),
    "a domain that is no table": (
        'domain = { kind = "positive" }',
        'domain = "positive"',
        "domain: must be a table",
    ),
    "a name that is not the name of the file": (
        'name = "gumbel_softmax"',
        'name = "gumbel"',
        "name: must be 'gumbel_softmax', but got 'gumbel'",
    ),
    "a class that does not exist": (
        'reference = "GumbelSoftmax"',
        'reference = "GumbleSoftmax"',
        "classes.reference: relaxit_reference has no class 'GumbleSoftmax'",
    ),
    "a name that is no class of a distribution": (
        'reference = "GumbelSoftmax"',
        'reference = "load_spec"',
        "classes.reference",
    ),
    "a parameter that the class does not have": (
        "[parameters.temperature]",
        "[parameters.tau]",
        "parameters.tau: GumbelSoftmax has no parameter 'tau'",
    ),
    "a group of a parameter that is not there": (
        'exclusive = [["probs", "logits"]]',
        'exclusive = [["probs", "odds"]]',
        "exclusive: no parameter is called 'odds'",
    ),
    "an unknown closed form": (
        'closed_forms = ["kl"]',
        'closed_forms = ["median"]',
        "closed_forms: unknown closed form 'median'",
    ),
    "an unknown closed form of a variant": (
        'closed_forms = ["mean", "variance", "entropy", "kl"]',
        'closed_forms = ["mean", "spread"]',
        "closed_forms: unknown closed form 'spread'",
    ),
    "a property of a parameter that is not there": (
        'parameter = "temperature"\nto = "zero"',
        'parameter = "tau"\nto = "zero"',
        "properties: parameter: no parameter is called 'tau'",
    ),
    "a property without a key that it needs": (
        'to = "zero"\n',
        "",
        "properties: limit: to must be one of zero, infinity, but got None",
    ),
    "a property with a word that its check does not know": (
        'expected = "discrete"',
        'expected = "dicsrete"',
        "properties: limit: expected must be one of discrete, uniform, but got 'dicsrete'",
    ),
    "a property of no parameter": (
        'map = "shift"\nparameter = "logits"',
        'map = "shift"',
        "properties: invariance: missing key 'parameter'",
    ),
    "a range that is not one": (
        "moderate = [0.7, 5.0]",
        "moderate = [0.7]",
        "parameters: temperature: moderate: must have 2 entries, but got [0.7]",
    ),
    "an argument that the class does not have": (
        "arguments = { hard = true }",
        "arguments = { harder = true }",
        "variants: GumbelSoftmax has no argument 'harder'",
    ),
}


@pytest.mark.parametrize(("old", "new", "words"), WRONG.values(), ids=WRONG)
def test_an_error_names_the_file_and_the_key(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    assert old in ORIGINAL
    path = tmp_path / "gumbel_softmax.toml"
    path.write_text(ORIGINAL.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SpecError) as error:
        read_spec(path)
    assert str(error.value).startswith("gumbel_softmax.toml: ")
    assert words in str(error.value)


def test_the_original_of_the_wrong_files_is_right(tmp_path: Path) -> None:
    path = tmp_path / "gumbel_softmax.toml"
    path.write_text(ORIGINAL, encoding="utf-8")
    assert read_spec(path) == load_spec("gumbel_softmax")


def test_a_name_without_a_file_is_an_error_that_lists_the_names() -> None:
    with pytest.raises(SpecError, match=r"gumbel\.toml: no such specification; .*gumbel_softmax"):
        load_spec("gumbel")


def test_no_specification_at_all_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relaxit_reference.spec.SPECS", tmp_path)
    with pytest.raises(SpecError, match="no specification in"):
        load_specs()


# specs/README.md describes the format for people.


def keys(kind: Any) -> Iterator[str]:
    """The keys of a table, and of all tables in it."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if not field.metadata.get("derived"):
            yield field.name
            for part in (hints[field.name], *typing.get_args(hints[field.name])):
                if not isinstance(part, type) or issubclass(part, domains.Domain):
                    continue
                if dataclasses.is_dataclass(part):
                    yield from keys(part)


@pytest.fixture(scope="module")
def page() -> str:
    return (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("key", sorted({*keys(Spec), *keys(Variant), *keys(Property)}))
def test_the_page_of_the_format_explains_every_key(key: str, page: str) -> None:
    assert f"`{key}`" in page


@pytest.mark.parametrize("kind", domains.KINDS)
def test_the_page_of_the_format_lists_every_domain(kind: str, page: str) -> None:
    assert f'`"{kind}"`' in page
    for field in dataclasses.fields(domains.KINDS[kind]):
        assert f"`{field.name}`" in page


@pytest.mark.parametrize("form", CLOSED_FORMS)
def test_the_page_of_the_format_lists_every_closed_form(form: str, page: str) -> None:
    assert f"`{form}`" in page


@each_spec
def test_the_reference_exports_every_class_that_is_named(spec: Spec) -> None:
    assert spec.reference_class is getattr(relaxit_reference, spec.classes.reference)


@each_spec
def test_a_reference_distribution_can_be_a_key(spec: Spec) -> None:
    """Fields are arrays, which cannot be compared as a whole: objects are equal to themselves."""
    distribution = getattr(relaxit_reference, spec.classes.reference)
    assert distribution.__hash__ is object.__hash__
