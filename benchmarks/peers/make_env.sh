#!/bin/sh
# An environment of their own for the peers of the benchmark, since their dependencies are many.
set -eu
cd "$(dirname "$0")/../.."
python3 -m venv bench-out/peers-venv
bench-out/peers-venv/bin/pip install -q -r benchmarks/peers/requirements.txt
# PecanPy needs an older numpy than the others
python3 -m venv bench-out/nodes-venv
bench-out/nodes-venv/bin/pip install -q -r benchmarks/peers/requirements-nodes.txt
# Infinity brings its own torch
python3 -m venv bench-out/infinity-venv
bench-out/infinity-venv/bin/pip install -q -r benchmarks/peers/requirements-infinity.txt
