#!/usr/bin/env bash
# Makes the environments of the peers that `make bench` measures against, and records what is in each:
#   bench/peers/make.sh UV PYTHON [PEER...]
# A peer is there once its .venv/versions.txt is. One that cannot be had is said so, does not keep the others from
# being made, and makes the exit code 1; `make bench` then measures without it.
set -u
uv=$1 python=$2
shift 2
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 2
peers=("$@")
[ ${#peers[@]} -eq 0 ] && peers=(feast mlserver bentoml)
failed=()
logs=$(cd ../.. && mkdir -p build/bench/peers && cd build/bench/peers && pwd) || exit 2

make_one() {
  local peer=$1 log=$2
  rm -f "$peer/.venv/versions.txt"
  {
    "$uv" venv --quiet --clear --python "$python" "$peer/.venv" &&
      "$uv" pip install --quiet --python "$peer/.venv/bin/python" --requirement "$peer/requirements.txt" &&
      "$peer/.venv/bin/python" -c "import $peer" &&
      "$uv" pip freeze --quiet --python "$peer/.venv/bin/python" >"$peer/.venv/versions.part" &&
      "$peer/.venv/bin/python" -c "import platform; print(f\"python=={platform.python_version()}\")" >>"$peer/.venv/versions.part"
  } >"$log" 2>&1 || return 1
  mv "$peer/.venv/versions.part" "$peer/.venv/versions.txt"
}

for peer in "${peers[@]}"; do
  if [ ! -f "$peer/requirements.txt" ]; then
    echo "there is no peer $peer in bench/peers" >&2
    exit 2
  fi
  wanted=$(grep -v '^#' "$peer/requirements.txt" | paste -sd ' ')
  echo "$peer: installing $wanted ..."
  started=$SECONDS
  if make_one "$peer" "$logs/$peer.log"; then
    size=$(du -sh "$peer/.venv" | cut -f1)
    echo "$peer: ready after $((SECONDS - started)) s, $size, $(wc -l <"$peer/.venv/versions.txt") packages;" \
      "versions in bench/peers/$peer/.venv/versions.txt"
  else
    failed+=("$peer")
    echo "$peer: COULD NOT BE MADE with $("$python" --version 2>&1); the end of $logs/$peer.log:" >&2
    tail -n 8 "$logs/$peer.log" | sed 's/^/    /' >&2
  fi
done

if [ ${#failed[@]} -gt 0 ]; then
  echo "without an environment: ${failed[*]}. make bench measures without them; PYTHON=/path/to/python3.11 or a" \
    "network that reaches PyPI may help" >&2
  exit 1
fi
