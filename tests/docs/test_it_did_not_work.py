"""Whatever a verdict says, docs/how-to/it-did-not-work.md says what to do next."""

import ast
import inspect
import re

import pytest
from docs.reader import DOCS

from salreg import verdict as module
from salreg.verdict import verdict

PAGE = (DOCS / "how-to" / "it-did-not-work.md").read_text("utf-8")
HEADINGS = re.findall(r'^### "(.*)"$', PAGE, re.M)
SYMPTOMS = re.findall(r"^### (\w.*)$", PAGE, re.M)


def conclusions():
    """How each sentence begins that ``verdict`` may end with, up to the first number or name in it."""
    function = next(
        node for node in ast.walk(ast.parse(inspect.getsource(module))) if getattr(node, "name", "") == "_conclusion"
    )
    for node in ast.walk(function):
        if isinstance(node, ast.Return):
            value = node.value.values[0] if isinstance(node.value, ast.JoinedStr) else node.value
            yield value.value.removesuffix(", ")


@pytest.mark.parametrize("sentence", conclusions())
def test_every_conclusion_of_a_verdict_has_a_section(sentence):
    assert any(heading.split(" ...")[0] in (sentence, sentence.strip()) for heading in HEADINGS), sentence


CHANGES = {
    "the model stopped using the region": {"reliance": {"content": (0.5, 0.01)}},
    "the map changed and the behaviour did not": {"reliance": {"content": (0.5, 0.5)}},
    "nearly all predictions are one class, and reliance says nothing": {"reliance": {"content": (0.5, 0.0)}, "constant": True},
    "; but its accuracy under intervention fell": {"reliance": {"content": (0.5, 0.01)}, "accuracy": (0.8, 0.7)},
    "reliance was not measured": {"reliance": {}},
}


@pytest.mark.parametrize("heading", CHANGES)
def test_what_a_section_is_called_is_what_the_verdict_says(heading):
    assert heading in HEADINGS
    assert heading in verdict({"input_gradient": (0.4, 0.02)}, {}, **CHANGES[heading])


def test_there_is_a_section_for_what_people_see():
    expected = {"The model predicts one class", "The accuracy fell", "Few marks", "A dead penalty", "The weight is negligible"}
    assert expected <= set(SYMPTOMS)
