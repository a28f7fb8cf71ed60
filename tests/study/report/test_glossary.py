"""Words are explained where they first stand, and only there."""

from __future__ import annotations

from collections import Counter

from gazeheads.study.report.glossary import Explained, terms


def test_every_term_is_told_and_no_form_means_two_things() -> None:
    assert all(term.text.endswith(".") and term.forms for term in terms())
    forms = Counter(form.lower() for term in terms() for form in term.forms)
    assert not [form for form, count in forms.items() if count > 1]
    assert len({term.id for term in terms()}) == len(terms())
    wanted = {"selectivity", "silhouette", "pool", "Wilson interval", "clean, mixed, repeats"}
    assert wanted <= {term.name for term in terms()}


def test_a_term_is_a_button_where_it_first_stands_in_a_section() -> None:
    explained = Explained()
    first = explained("The pool is large; a pool & a <pool>.")
    button = '<button type="button" class="term" popovertarget="term-pool">pool</button>'
    assert first == f"The {button} is large; a pool &amp; a &lt;pool&gt;."
    assert "button" not in explained("The pool again")
    assert "button" in Explained()("The pool again")


def test_whole_words_are_found_and_the_longest_of_them() -> None:
    assert "button" not in Explained()("Liverpool pools whirlpool pool-side")
    assert ">normalised selectivity<" in Explained()("by normalised selectivity")
    assert ">Selectivity<" in Explained()("Selectivity is")
    assert ">p<" in Explained()("it is small (p = 0.048)")
    assert "button" not in Explained()("a p or a q")
