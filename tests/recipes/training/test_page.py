"""The page of a comparison."""

from support import history

from salreg.recipes.training.page import write_comparison_page


def test_it_says_what_wrong_marks_achieve(tmp_path):
    accuracies = {"plain": 0.5, "regularised": 0.9, "marks at random places": 0.6}
    results = {arm: [{"test/accuracy": accuracy}] for arm, accuracy in accuracies.items()}
    runs = {arm: history() for arm in ("plain", "regularised")}
    write_comparison_page(tmp_path, results, runs, [])
    said = "Accuracy with the marks: 0.900; with wrong marks at most 0.600 (marks at random places); plain: 0.500."
    assert said in (tmp_path / "report.html").read_text("utf-8")
    del results["marks at random places"]
    write_comparison_page(tmp_path, results, runs, [])
    assert "wrong marks" not in (tmp_path / "report.html").read_text("utf-8")
