/** What stands between the proxy and readiness, asked anew each time. */

export class Conditions {
  readonly #conditions: (() => string | null)[] = [];

  /** `missing` says in words what is not as it should be, or null. */
  require(missing: () => string | null): void {
    this.#conditions.push(missing);
  }

  /** Empty if the proxy is ready. */
  get reasons(): readonly string[] {
    return this.#conditions.map((missing) => missing()).filter((reason) => reason !== null);
  }
}
