"""An audit of a table's run beside what fairlearn and captum give for the same model and data.

python -m benchmarks.audit RUN      # a run folder of compas or table; pip install fairlearn captum
"""

import argparse
import time
from pathlib import Path

import torch
from captum.attr import FeatureAblation, InputXGradient
from fairlearn.metrics import MetricFrame, false_negative_rate, false_positive_rate
from sklearn.metrics import accuracy_score

from salreg.audit import audit_table
from salreg.audit.groups import RATES
from salreg.recipes.training import finished_run


def main() -> None:
    """Print both side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    run = finished_run.load(parser.parse_args().run)
    table, module = run.experiment.test.dataset.base, run.experiment.module.eval()
    rows, labels, numbers = table.tensors
    groups = [module.groups[one] for one in numbers.tolist()]
    started = time.perf_counter()
    found = audit_table(module, rows, labels, table.columns, features=table.features, groups={"group": groups}, progress=False)
    print(f"salreg.audit: {time.perf_counter() - started:.1f} s, everything\n")
    with torch.no_grad():
        predicted = module(rows).argmax(1)

    started = time.perf_counter()
    frame = MetricFrame(
        metrics=dict(zip(RATES, (accuracy_score, false_positive_rate, false_negative_rate), strict=True)),
        y_true=labels.numpy(), y_pred=predicted.numpy(), sensitive_features=groups,
        n_boot=1000, ci_quantiles=[0.025, 0.975], random_state=0,
    )  # fmt: skip
    low, high = frame.by_group_ci
    print("rate, group: salreg | fairlearn")
    for group in found.groups:
        for rate, ours in group.rates.items():
            theirs = [float(one.loc[group.name, rate]) for one in (frame.by_group, low, high)]
            print(f"{rate}, {group.name}: {ours} | {theirs[0]:.3f} [{theirs[1]:.3f}, {theirs[2]:.3f}]")
    for gap in found.gaps:
        theirs = [float(one[gap.rate]) for one in (frame.difference(), *frame.difference_ci())]
        print(f"gap of {gap.rate}: {gap.difference} | {theirs[0]:.3f} [{theirs[1]:.3f}, {theirs[2]:.3f}]")
    print(f"fairlearn: {time.perf_counter() - started:.1f} s, rates alone\n")

    number_of = {column: number for number, own in enumerate(_features(table).values()) for column in own}
    mask = torch.tensor([[number_of[column] for column in range(rows.shape[1])]])
    maps = {
        "input times gradient": InputXGradient(module).attribute(rows.clone(), target=predicted).detach().abs(),
        "ablation of features": FeatureAblation(module).attribute(rows, target=predicted, feature_mask=mask).detach().abs(),
    }
    print("feature: reliance, input times gradient, occlusion | captum's input times gradient, its ablation (logits)")
    for use, own in zip(found.uses, _features(table).values(), strict=True):
        gradient = maps["input times gradient"]
        share = float((gradient[:, own].sum(1) / gradient.sum(1)).nan_to_num().mean())
        ablation = float(maps["ablation of features"][:, own[0]].mean())
        ours = [use.changes["substitution"].share, *use.saliency.values()]
        print(f"{use.name}: {', '.join(f'{one.value:.3f}' for one in ours)} | {share:.3f}, {ablation:.3f}")


def _features(table) -> dict[str, list[int]]:
    owner = {column: name for name, members in table.features.items() for column in members}
    found: dict[str, list[int]] = {}
    for number, column in enumerate(table.columns):
        found.setdefault(owner.get(column, column), []).append(number)
    return found


if __name__ == "__main__":
    main()
