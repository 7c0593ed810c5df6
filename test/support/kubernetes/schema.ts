/** Kubernetes' own schemas, saved by capture.ts: they give `kubectl apply`'s verdict on an object. */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";

export type Version = "v1.29" | "v1.37";

type Schema = { readonly kinds: Readonly<Record<string, string>>; readonly $defs: object };

/** An object's faults; empty if it is valid. Throws for a kind that capture.ts has not saved. */
export function faultsOf(version: Version, object: unknown): readonly string[] {
  const validate = validatorOf(version, kindOf(object));
  if (validate(object)) return [];
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) =>
      `${instancePath} ${message ?? ""} ${JSON.stringify(params)}`,
  );
}

function kindOf(object: unknown): string {
  const { apiVersion, kind } = object as { readonly apiVersion?: string; readonly kind?: string };
  return `${apiVersion}/${kind}`;
}

function validatorOf(version: Version, kind: string): ValidateFunction {
  const { ajv, kinds } = loaded[version];
  const name = kinds[kind];
  if (name === undefined) throw new Error(`there is no schema for ${kind}`);
  const validate = ajv.getSchema(`${version}#/$defs/${name}`);
  if (validate === undefined) throw new Error(`${version} has no ${name}`);
  return validate;
}

async function load(
  version: Version,
): Promise<{ readonly ajv: Ajv2020; readonly kinds: Schema["kinds"] }> {
  const file = Bun.file(`${import.meta.dir}/${version}.schema`);
  const { kinds, $defs } = JSON.parse(await file.text()) as Schema;
  // Formats are Go's types (int32, byte), which JSON Schema does not define.
  const ajv = new Ajv2020({ allErrors: true, strict: false, validateFormats: false });
  ajv.addSchema({ $id: version, $defs });
  return { ajv, kinds };
}

const loaded = { "v1.29": await load("v1.29"), "v1.37": await load("v1.37") };
