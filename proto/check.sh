#!/usr/bin/env bash
# Holds the contracts: style, compatibility with what was released, and generated code equal to what is committed.
set -euo pipefail
cd "$(dirname "$0")/.."

buf lint
buf format --diff --exit-code --exclude-path proto/open_inference

# Against main; on main itself, against the commit before.
base=$(git merge-base HEAD origin/main 2>/dev/null || git rev-parse HEAD)
if [ "$base" = "$(git rev-parse HEAD)" ] && git diff --quiet HEAD -- proto examples/flights/proto; then
  base=$(git rev-parse --verify --quiet HEAD~1 || echo "$base")
fi
buf breaking --against ".git#ref=$base"

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
proto/generate.sh "$fresh/contracts" "$fresh/flights"
status=0
for pair in "libs/contracts/src:$fresh/contracts" "examples/flights/gen:$fresh/flights"; do
  diff -r --exclude=__pycache__ --exclude=py.typed --exclude='*.egg-info' --exclude=__init__.py "${pair%%:*}" "${pair#*:}" || status=1
done
[ $status -eq 0 ] || { echo "generated code differs from the contracts: run 'make proto' and commit" >&2; exit 1; }
