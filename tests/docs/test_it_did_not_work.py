"""Whatever a verdict says, docs/how-to/it-did-not-work.md says what to do next."""

import re

import pytest
from docs.reader import DOCS

from salreg.advice import _ADVICE
from salreg.verdict import verdict

PAGE = (DOCS / "how-to" / "it-did-not-work.md").read_text("utf-8")
HEADINGS = re.findall(r'^### "(.*)"$', PAGE, re.M)
SYMPTOMS = re.findall(r"^### (\w.*)$", PAGE, re.M)
BEFORE = (0.5, 0.5)
#: What was measured, by the case of which ``salreg.advice`` knows what to do.
CASES = {
    "NaN": {"reliance": {"content": (0.5, float("nan"))}},
    "constant": {"reliance": {"content": (0.5, 0.0)}, "constant": True},
    "fallen": {"reliance": {"content": (0.5, 0.01)}, "accuracy": (0.8, 0.7)},
    "unmeasured": {"reliance": {}},
    "never": {"reliance": {"content": (0.0, 0.0)}},
    "pointing": {"reliance": {"content": (0.5, 0.0)}, "probes": {"grad_cam": (0.4, 0.4), "occlusion": (0.4, 0.4)}},
    "stopped": {"reliance": {"content": (0.5, 0.0)}},
    "map only": {"reliance": {"content": BEFORE}},
    "content": {"reliance": {"content": (0.5, 0.2)}},
    "removal": {"reliance": {"removal": BEFORE}, "saliency": {"input_gradient": (0.4, 0.4)}},
    "insertion": {"reliance": {"insertion": (0.5, 0.2)}},
}


def said(case):
    measured = {"saliency": {"input_gradient": (0.4, 0.02)}, "probes": {}, **CASES[case]}
    return verdict(**measured)


def test_there_is_a_verdict_for_every_piece_of_advice():
    assert set(CASES) == set(_ADVICE)
    assert all(said(case).advice.startswith(_ADVICE[case]) for case in CASES)


@pytest.mark.parametrize("case", CASES)
def test_every_conclusion_of_a_verdict_has_a_section(case):
    begins = [heading.split(" ...")[0] for heading in HEADINGS]
    assert any(said(case).conclusion.startswith(begin) for begin in begins), said(case).conclusion


def test_no_section_is_of_a_verdict_that_is_never_given():
    conclusions = [said(case).conclusion for case in CASES]
    for heading in HEADINGS:
        assert any(one.startswith(heading.split(" ...")[0]) for one in conclusions), heading


def test_there_is_a_section_for_what_people_see():
    expected = {"The model predicts one class", "The accuracy fell", "Few marks", "A dead penalty", "The weight is negligible"}
    assert expected <= set(SYMPTOMS)
