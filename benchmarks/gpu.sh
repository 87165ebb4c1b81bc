#!/usr/bin/env bash
# The tables of benchmarks.step_cost on a CUDA device, the short ones first: the default on small and large models and in a
# Trainer, a language model of 1.3B parameters, and penalties on small models, ResNet-50 and ViT-B/16, eagerly and compiled.
# Needs transformers. Append what it prints to docs/performance.md, with the device's name.
set -euo pipefail
cd "$(dirname "$0")/.."
cost=("${PYTHON:-.venv/bin/python}" -m benchmarks.step_cost --device cuda)
"${cost[@]}" --intervention --models mlp,cnn,resnet,vit,lstm,resnet50,vit-b --rounds 5
"${cost[@]}" --intervention --models resnet50,vit-b --precision bf16 --rounds 5
"${cost[@]}" --trainer --rounds 3
"${cost[@]}" --language 1b --rounds 5
"${cost[@]}" --models resnet50,vit-b --precision bf16
"${cost[@]}"
"${cost[@]}" --models resnet50,vit-b --precision bf16 --compile
