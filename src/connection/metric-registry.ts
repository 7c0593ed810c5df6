/** Creates metrics and renders them in Prometheus' text format, under the names that the operator has chosen. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";

import { build } from "../runtime/build.ts";
import { buildInfo, metricName, type MetricsNames } from "./metric-names.ts";

export class MetricRegistry {
  readonly #registry = new Registry();
  readonly #names: MetricsNames;

  constructor(names: MetricsNames) {
    this.#names = names;
    const { version, commit } = build;
    this.gauge(buildInfo, "1; the labels say which build this is", ["version", "commit"]).set(
      { version, commit },
      1,
    );
  }

  /** `collect` runs before each rendering. */
  counter(name: string, help: string, labelNames: string[], collect?: () => void): Counter {
    return new Counter({ ...this.#named(name, help, labelNames), ...(collect ? { collect } : {}) });
  }

  /** `collect` runs before each rendering. */
  gauge(name: string, help: string, labelNames: string[], collect?: () => void): Gauge {
    return new Gauge({ ...this.#named(name, help, labelNames), ...(collect ? { collect } : {}) });
  }

  /** `buckets`: upper bounds in seconds. */
  histogram(
    name: string,
    help: string,
    labelNames: string[],
    buckets: readonly number[],
  ): Histogram {
    return new Histogram({ ...this.#named(name, help, labelNames), buckets: [...buckets] });
  }

  async text(): Promise<string> {
    return await this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  #named(
    name: string,
    help: string,
    labelNames: string[],
  ): { name: string; help: string; labelNames: string[]; registers: Registry[] } {
    return {
      name: metricName(name, this.#names),
      help,
      labelNames,
      registers: [this.#registry],
    };
  }
}
