/** The obstacles to readiness, evaluated again each time. */

export class Conditions {
  readonly #conditions: (() => string | null)[] = [];

  /** `missing` returns a defect in words, or null. */
  require(missing: () => string | null): void {
    this.#conditions.push(missing);
  }

  /** Empty if the proxy is ready. */
  get reasons(): readonly string[] {
    return this.#conditions.map((missing) => missing()).filter((reason) => reason !== null);
  }
}
