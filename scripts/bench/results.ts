/** The results of a run, as `--json` writes them and table and report read them. Times and costs name their unit. */

/** Microseconds. */
export type Percentiles = { readonly p50: number; readonly p90: number; readonly p99: number };

/** Only anonymous memory counts: the rest of a process is shared by all processes of the same file. */
export type StandingMemory = {
  /** Resident, before the first connection, of the larger proxy; 0 without one. */
  readonly restKiB: number;
  /** Anonymous, of all proxies together. */
  readonly perConnectionKiB: number;
  /** The same, of the proxy that has grown most. */
  readonly perConnectionOfOneKiB: number;
};

/**
 * One measurement: one case, one system, one round. Null for what a case does not measure or a system does not have.
 */
export type Sample = {
  /** Units per second. */
  readonly rate: number | null;
  /** CPU seconds of all proxies for one unit. */
  readonly cpu: number | null;
  /** The same for the proxy in pod b alone. */
  readonly cpuServer: number | null;
  readonly latency: Percentiles | null;
  readonly standing: StandingMemory | null;
  readonly failed: number;
  /** Anonymous memory of both proxies afterwards, null without one. */
  readonly memoryKiB: number | null;
  /** CPU used meanwhile by processes outside this run, in cores. */
  readonly othersCores: number;
};

export type Row = { readonly case: string; readonly system: string; readonly samples: Sample[] };

export type Machine = {
  readonly processor: string;
  readonly cores: number;
  readonly memoryMiB: number;
  readonly kernel: string;
  readonly distribution: string;
  /** Version by program, in order of appearance. */
  readonly versions: Readonly<Record<string, string>>;
};

export type Others = {
  /** Average CPU of processes outside this run, in cores. */
  readonly cores: number;
  /** The largest users, largest first: "name (pid) 12 s". */
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
