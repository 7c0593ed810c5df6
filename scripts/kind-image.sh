#!/usr/bin/env bash
# Puts the image into a kind cluster and deploys install.yaml there.
#   kind-image.sh [CLUSTER]     kind's own default is "kind"
set -euo pipefail
cd "$(dirname "$0")/.."

cluster=${1:-kind} image=tproxy:dev

fail() {
  printf 'kind-image: %s\n' "$@" >&2
  exit 1
}

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
# The image has the same name as before: the pods must be replaced. Deleting install.yaml would take the Secrets along.
kubectl --context "kind-$cluster" --namespace tproxy-demo rollout restart deployment
