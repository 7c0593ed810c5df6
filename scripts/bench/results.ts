/** What a run has found, as `--json` writes it and table and report read it. Times and costs say their unit. */

/** Microseconds. */
export type Percentiles = { readonly p50: number; readonly p90: number; readonly p99: number };

/** Anonymous memory is told of: all else of a process is shared with whoever runs the same file. */
export type StandingMemory = {
  /** Resident, before the first connection, of the larger proxy; 0 without one. */
  readonly restKiB: number;
  /** Anonymous, of all proxies together. */
  readonly perConnectionKiB: number;
  /** The same, of the proxy that has grown most. */
  readonly perConnectionOfOneKiB: number;
};

/** One measurement: one case, one system, one round. What a case does not tell, or a system does not have, is null. */
export type Sample = {
  /** Units a second. */
  readonly rate: number | null;
  /** CPU seconds of all proxies for one unit. */
  readonly cpu: number | null;
  /** The same, of the proxy in pod b alone. */
  readonly cpuServer: number | null;
  readonly latency: Percentiles | null;
  readonly standing: StandingMemory | null;
  readonly failed: number;
  /** Anonymous memory of both proxies afterwards, null without one. */
  readonly memoryKiB: number | null;
  /** CPU that processes outside of this run used meanwhile, in cores. */
  readonly othersCores: number;
};

export type Row = { readonly case: string; readonly system: string; readonly samples: Sample[] };

export type Machine = {
  readonly processor: string;
  readonly cores: number;
  readonly memoryMiB: number;
  readonly kernel: string;
  readonly distribution: string;
  /** Program to version, in the order in which they are to be shown. */
  readonly versions: Readonly<Record<string, string>>;
};

export type Others = {
  /** CPU of processes outside of this run, in cores, on average. */
  readonly cores: number;
  /** Those that used most, the first one most: "name (pid) 12 s". */
  readonly who: readonly string[];
};

export type Run = {
  /** ISO 8601. */
  readonly date: string;
  readonly scope: "quick" | "full";
  readonly rounds: number;
  readonly seconds: number;
  readonly machine: Machine;
  readonly others: Others;
  readonly rows: readonly Row[];
};
