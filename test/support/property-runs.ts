/** How property tests choose their inputs. Pure. */

export type PropertyRuns = { readonly seed: number; readonly numRuns: number };

/** Of the gate: a failure there is a change's, not chance's. */
export const gateRuns: PropertyRuns = { seed: 20_261_130, numRuns: 100 };

/** `TPROXY_SEED` and `TPROXY_RUNS` are scripts/fuzz.sh's. Throws for what is no number. */
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
