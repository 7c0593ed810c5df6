/** The addresses that applications see their clients by: mirror.ts in pods. */
import type { CredentialPaths } from "./credentials.ts";
import type { Sight } from "./mirror.ts";
import type { Pod, Running } from "./pods.ts";
import { metrics } from "./status.ts";

export type { Sight } from "./mirror.ts";

/** Starts the mirror application, on all addresses unless one is given. */
export async function serveMirror(
  pod: Pod,
  port: number,
  host = "::",
  how: "serve" | "hang-up" = "serve",
): Promise<Running> {
  const running = pod.start(["bun", script, how, host, String(port)]);
  await running.says(/serving/);
  return running;
}

export type Question = {
  readonly host: string;
  readonly port: number;
  readonly count?: number;
  /** The client's own port. */
  readonly from?: number;
  /** Waits for the server's end. */
  readonly hearsOut?: boolean;
};

export type Asked = { readonly sights: readonly Sight[]; readonly running: Running };

/** Connections that stay open until `running` is ended. */
export async function ask(pod: Pod, { host, port, count = 1, from }: Question): Promise<Asked> {
  const numbers = [port, count, ...(from === undefined ? [] : [from])].map(String);
  const running = pod.start(["bun", script, "stay", host, ...numbers]);
  const sights = JSON.parse(await running.says(/^\[.*\]$/m)) as readonly Sight[];
  return { sights, running };
}

/** One connection, closed again. */
export async function askOnce(
  pod: Pod,
  { host, port, from, hearsOut = false }: Question,
): Promise<Sight> {
  const own = from === undefined ? [] : [String(from)];
  const how = hearsOut ? "hear-out" : "ask";
  const { stdout } = await pod.run(["bun", script, how, host, String(port), "1", ...own]);
  const [sight] = JSON.parse(stdout) as readonly Sight[];
  if (sight === undefined) throw new Error(`no answer: ${stdout}`);
  return sight;
}

export type Telling = {
  readonly host: string;
  readonly port: number;
  readonly paths: CredentialPaths;
  /** Offered by ALPN, separated by commas. */
  readonly protocols?: string;
  readonly preamble?: Uint8Array;
  readonly from?: number;
};

/** A TLS client that is not a proxy; its connection stays open until `running` is ended. */
export async function tellAndAsk(
  pod: Pod,
  telling: Telling,
): Promise<{ readonly sight: Sight; readonly running: Running }> {
  const { host, port, paths, protocols = "", preamble = new Uint8Array(), from = 0 } = telling;
  const args = [
    host,
    String(port),
    paths.certificate,
    paths.key,
    protocols,
    String(from),
    preamble.toHex(),
  ];
  const running = pod.start(["bun", teller, ...args, "stay"]);
  const [sight] = JSON.parse(await running.says(/^\[.*\]$/m)) as readonly Sight[];
  if (sight === undefined) throw new Error("no sight");
  return { sight, running };
}

/** The non-zero counts of `tproxy_source_address_total`: "ip-port/as-asked" and the number. */
export async function sourcesCounted(pod: Pod): Promise<Readonly<Record<string, number>>> {
  const counted: Record<string, number> = {};
  for (const [name, value] of await metrics(pod)) {
    const labels = /^tproxy_source_address_total\{kept="([^"]+)",reason="([^"]+)"\}$/.exec(name);
    if (labels !== null && value > 0) counted[`${labels[1]}/${labels[2]}`] = value;
  }
  return counted;
}

const teller = `${import.meta.dir}/teller.ts`;
const script = `${import.meta.dir}/mirror.ts`;
