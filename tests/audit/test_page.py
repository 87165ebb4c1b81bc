"""The page and the model card of an audit."""

import re

import pytest
import torch

from salreg.annotations import Counterparts
from salreg.audit import Measured, audit_table, audit_texts, card_section, model_card, page, spreads

LEXICON = Counterparts({"faith": {"muslim": ["muslim", "imam"], "jewish": ["jewish", "rabbi"]}})


def audited(weight, **options):
    def model(texts):
        return torch.tensor([[0.0, 2.0 + text.count("good") - weight * text.lower().count("muslim")] for text in texts])

    texts = ["A <b>Muslim</b> film | ok", "a jewish film", "some film"] * 5
    return audit_texts(model, texts, [1, 0, 1] * 5, LEXICON, progress=False, marked="The faith was marked.", **options)


@pytest.fixture(scope="module")
def both():
    return {"plain": audited(9), "regularised": audited(0)}


def test_a_page_needs_nothing_else_and_escapes_texts(both):
    html = page(both)
    assert not re.search(r"""(src|href)=["'](?!data:)""", html)
    assert "<b>Muslim" not in html
    assert "&lt;b&gt;Muslim" in html or "&lt;b&gt;muslim" in html.lower()


def test_a_page_of_two_audits_shows_each_number_before_and_after(both):
    html = page(both)
    assert re.search(r"100% \(\d+% to 100%\) → 0% \(0% to \d+%\)", html)
    assert "What was found: plain" in html
    assert re.search(r"&#x27;muslim&#x27; [a-z ]+: \d+% \([^)]*\) of the predictions changed before, 0% ", html)
    assert "What was found: regularised" in html
    assert "imam" in html  # term by term


def test_what_was_marked_how_it_was_measured_and_what_is_not_known_is_told(both):
    for told in (page(both), card_section(both)):
        for said in ("The faith was marked.", "How it was measured", "What is not known", "For whom it is wrong"):
            assert said in told


def test_a_card_says_what_the_model_relies_on_in_one_table(both):
    section = card_section(both)
    # Every other text gets "imam", which the model does not know: 3 of 5 predictions change.
    line = next(one for one in section.splitlines() if "| muslim | put in |" in one)
    assert re.match(r"\| faith \| muslim \| put in \| 60% .* \| 0% ", line)
    assert all(line.count("|") - line.count("\\|") in (6, 7, 8) for line in section.splitlines() if line.startswith("|"))


def test_hugging_face_reads_the_card(both):
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard(model_card(both, "my model"))
    assert card.data.model_name == "my model"
    values = {one.metric_name: one.metric_value for one in card.data.eval_results}
    assert values["reliance on muslim"] == 0
    assert "## What the model relies on" in card.text


def test_without_the_library_the_card_is_plain_markdown(both, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    assert model_card(both, "my model").startswith("# my model\n")


def test_a_table_has_a_page_too():
    rows = torch.tensor([[1.0, 0.0], [-1.0, 1.0]] * 6)
    found = audit_table(
        torch.nn.Linear(2, 2), rows, [0, 1] * 6, ["age", "zip"], groups={"side": ["l", "r"] * 6}, progress=False
    )
    html = page({"model": found})
    assert "with random words" not in html
    assert "Where the maps point" in html
    assert "side" in card_section({"model": found})


def test_audits_of_different_data_do_not_stand_side_by_side(both):
    rows = torch.zeros(4, 1)
    table = audit_table(torch.nn.Linear(1, 2), rows, [0, 1, 0, 1], ["age"], progress=False)
    with pytest.raises(ValueError, match="same data"):
        page({"texts": both["plain"], "table": table})
    with pytest.raises(ValueError, match="not 0"):
        page({})


def test_several_trainings_are_told_by_mean_and_deviation():
    seeds = {"plain": [audited(9), audited(9), audited(0)], "regularised": [audited(0), audited(0)]}
    first = {name: own[0] for name, own in seeds.items()}
    key = Measured("change", "faith", "muslim", "substitution")
    shares = [one.uses[0].changes["substitution"].share.value for one in seeds["plain"]]
    assert shares == [1, 1, 0]
    mean, deviation, trainings = spreads(seeds["plain"])[key]
    assert (mean, trainings) == (pytest.approx(2 / 3), 3)
    assert deviation == pytest.approx(torch.tensor(shares).std().item())
    for told in (page(first, seeds=seeds), card_section(first, seeds)):
        assert "Over trainings" in told
        assert "67% ± 58% → 0% ± 0% of the predictions change when" in told
    assert "3 of plain and 2 of regularised" in page(first, seeds=seeds)
    assert "Over trainings" not in page(first, seeds={name: [one] for name, one in first.items()})


def test_a_gap_or_rate_over_trainings_is_that_of_those_in_which_it_is_known():
    found = spreads([audited(9), audited(0)])
    rate = Measured("rate", "faith", "muslim", "accuracy")
    assert found[rate].trainings == 2
    assert found[rate].mean == pytest.approx(0.5)
    with pytest.raises(ValueError, match="at least one audit, and all audits must be on the same data"):
        spreads([])
