/** The choice of inputs for property tests. Pure. */

export type PropertyRuns = { readonly seed: number; readonly numRuns: number };

/** The gate's fixed seed: a failure there comes from a change, not from chance. */
export const gateRuns: PropertyRuns = { seed: 20_261_130, numRuns: 100 };

/** scripts/fuzz.sh sets `TPROXY_SEED` and `TPROXY_RUNS`. Throws if they are not numbers. */
export function propertyRuns(
  environment: Readonly<Record<string, string | undefined>>,
): PropertyRuns {
  return {
    seed: integerOr(environment["TPROXY_SEED"], gateRuns.seed),
    numRuns: integerOr(environment["TPROXY_RUNS"], gateRuns.numRuns),
  };
}

function integerOr(text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!Number.isInteger(value) || text.trim() === "") throw new Error(`not an integer: ${text}`);
  return value;
}
