#!/usr/bin/env bash
# Creates the environment with the service, its embedded default and the check tools.
set -euo pipefail
venv=${1:?usage: make_venv.sh FOLDER}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

python=${PYTHON:-}
if [ -z "$python" ]; then
  for candidate in python3.11 python3.12 python3.13 python3; do
    if command -v "$candidate" >/dev/null && new_enough "$candidate"; then
      python=$candidate
      break
    fi
  done
fi
if [ -z "$python" ] || ! new_enough "$python"; then
  echo "latentspace needs Python 3.11 or newer: apt-get install python3 python3-venv," \
    "or name one with make PYTHON=/path/to/python3.11" >&2
  exit 1
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
  echo "$python has no venv module: apt-get install python3-venv" >&2
  exit 1
fi
free_mib=$(df --output=avail -m . | tail -n 1)
if [ ! -x "$venv/bin/python" ] && [ "$free_mib" -lt 9000 ]; then
  echo "the environment takes about 8 GB (PyTorch brings its CUDA libraries); ${free_mib} MB are" \
    "free here: make room first" >&2
  exit 1
fi

[ -x "$venv/bin/python" ] || { echo "creating $venv with $python"; "$python" -m venv "$venv"; }
echo "installing packages (the first time about 8 GB, many minutes; PyTorch is most of it)"
# setuptools warns of folders named as their packages, which is what an editable install is here
PYTHONWARNINGS=ignore "$venv/bin/python" -m pip install --disable-pip-version-check \
  --editable ./client --editable '.[all,dev]'
