#!/usr/bin/env bash
# The table of benchmarks.step_cost on a CUDA device: small models in float32, a language model of 1.3B parameters, ResNet-50 at
# 224 pixels and ViT-B/16 in bf16, eagerly and compiled. Needs transformers. Append what it prints to docs/performance.md, with the device's name.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
"$python" -m benchmarks.step_cost --device cuda
"$python" -m benchmarks.step_cost --device cuda --language 1b --rounds 5
"$python" -m benchmarks.step_cost --device cuda --models resnet50,vit-b --precision bf16
"$python" -m benchmarks.step_cost --device cuda --models resnet50,vit-b --precision bf16 --compile
