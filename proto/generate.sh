#!/usr/bin/env bash
# Generates the Python code of every contract:  proto/generate.sh CONTRACTS_DIR FLIGHTS_DIR
set -euo pipefail
cd "$(dirname "$0")/.."
contracts=$1 flights=$2

generate() { # generate ROOT OUT: messages with types; services too where a file declares one
  local root=$1 out=$2
  local -a all services
  mapfile -t all < <(find "$root" -name '*.proto' | sort)
  mapfile -t services < <(grep -l '^service ' "${all[@]}" || true)
  mkdir -p "$out"
  find "$out" -name '*_pb2*' -delete
  python -m grpc_tools.protoc -I"$root" --python_out="$out" --mypy_out="quiet:$out" "${all[@]}"
  if [ ${#services[@]} -gt 0 ]; then
    python -m grpc_tools.protoc -I"$root" --grpc_python_out="$out" --mypy_grpc_out="quiet:$out" "${services[@]}"
  fi
}

generate proto "$contracts"
generate examples/flights/proto "$flights"
