#!/usr/bin/env bash
set -euo pipefail
usage='Usage: scripts/kind-image.sh [CLUSTER]

Builds the image tproxy:dev, loads it into the kind cluster CLUSTER (kind), and deploys install.yaml there. Needs docker, kind
and kubectl.

Options:
  --help       show this

Examples:
  scripts/kind-image.sh
  scripts/kind-image.sh trial

Exit codes: 0 deployed, 1 failed, 2 a mistake on the command line.'
cd "$(dirname "$0")/.."
source scripts/lib.sh
read_options "$usage" 1 "$@"

cluster=${1:-kind} image=tproxy:dev
command -v docker >/dev/null || fail "docker is not installed"
command -v kind >/dev/null || fail "kind is not installed: https://kind.sigs.k8s.io/docs/user/quick-start/#installation"
command -v kubectl >/dev/null || fail "kubectl is not installed: https://kubernetes.io/docs/tasks/tools/"
[[ -f install.yaml ]] || fail "there is no install.yaml here"
kind get clusters 2>/dev/null | grep -qFx -- "$cluster" ||
  fail "there is no cluster $cluster: kind create cluster --name $cluster"

scripts/build.sh
scripts/image.sh "$image" --zstd 0
kind load docker-image "$image" --name "$cluster"
kubectl --context "kind-$cluster" apply -f install.yaml
# The image keeps its name, so the pods must be replaced. Deleting install.yaml would delete the Secrets too.
kubectl --context "kind-$cluster" --namespace tproxy-demo rollout restart deployment
