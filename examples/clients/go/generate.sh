#!/usr/bin/env bash
# Generates Go code of the contracts that the example speaks. Needs protoc (or grpcio-tools), protoc-gen-go and protoc-gen-go-grpc.
set -euo pipefail
cd "$(dirname "$0")"
proto=../../../proto
module=tidemark.example/client
files=(
  tidemark/common/v1/value.proto
  tidemark/outcomes/v1/outcome_service.proto
  tidemark/scoring/v1/{feature_vector,output,scoring_service}.proto
)
options=()
for file in "${files[@]}"; do
  options+=("--go_opt=M$file=$module/$(dirname "$file")" "--go-grpc_opt=M$file=$module/$(dirname "$file")")
done
protoc=(protoc)
command -v protoc >/dev/null || protoc=(python -m grpc_tools.protoc)
rm -rf tidemark
"${protoc[@]}" -I"$proto" --go_out=. --go-grpc_out=. --go_opt=module=$module --go-grpc_opt=module=$module "${options[@]}" "${files[@]}"
