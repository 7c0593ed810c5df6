/**
 * Generates the schemas: `pip download --no-deps kubernetes-validate==1.37.0`, unzip it somewhere, then `bun
 * test/support/kubernetes/capture.ts <there>`. They are Kubernetes' own (Apache-2.0), with unknown fields forbidden,
 * as `kubectl apply` does; only the kinds needed here, without descriptions.
 */
type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** The first version with native sidecars enabled, and the newest one. */
const versions = ["1.29", "1.37"];
const kinds: Readonly<Record<string, string>> = {
  "v1/ConfigMap": "io.k8s.api.core.v1.ConfigMap",
  "v1/Namespace": "io.k8s.api.core.v1.Namespace",
  "v1/Secret": "io.k8s.api.core.v1.Secret",
  "v1/Service": "io.k8s.api.core.v1.Service",
  "v1/ServiceAccount": "io.k8s.api.core.v1.ServiceAccount",
  "apps/v1/Deployment": "io.k8s.api.apps.v1.Deployment",
};
const definitions = "#/$defs/";

const from = `${process.argv[2]}/kubernetes_validate/kubernetes-json-schema`;
for (const version of versions) {
  const file = Bun.file(`${from}/v${version}.0-local-strict/_definitions.json`);
  const { $defs: all } = (await file.json()) as { $defs: Record<string, Json> };
  const needed: Record<string, Json> = {};
  for (const name of Object.values(kinds)) take(name, all, needed);
  await Bun.write(`${import.meta.dir}/v${version}.schema`, schemaText(needed));
}

function take(name: string, all: Readonly<Record<string, Json>>, into: Record<string, Json>): void {
  if (name in into) return;
  const definition = all[name];
  if (definition === undefined) throw new Error(`there is no ${name}`);
  into[name] = null;
  into[name] = copy(definition, (other) => {
    take(other, all, into);
  });
}

/** Omits descriptions, and makes references local to the file. */
function copy(value: Json, found: (name: string) => void): Json {
  if (value === null || typeof value !== "object") return value;
  if (isList(value)) return value.map((item) => copy(item, found));
  const entries = Object.entries(value).filter(
    ([key, item]) =>
      !(key === "description" && typeof item === "string") && !key.startsWith("x-kubernetes-"),
  );
  return Object.fromEntries(
    entries.map(([key, item]) => {
      if (key !== "$ref" || typeof item !== "string") return [key, copy(item, found)];
      const name = item.slice(item.indexOf(definitions) + definitions.length);
      found(name);
      return [key, `${definitions}${name}`];
    }),
  );
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

/** JSON with one definition a line, so that a diff is readable. */
function schemaText(needed: Readonly<Record<string, Json>>): string {
  const lines = Object.keys(needed)
    .toSorted()
    .map((name) => `  ${JSON.stringify(name)}: ${JSON.stringify(needed[name])}`);
  return `{"kinds": ${JSON.stringify(kinds)},\n"$defs": {\n${lines.join(",\n")}\n}}\n`;
}
