/** What the demo's director tells a host to do, and what the host reports: JSON, a line each. */

export type RequestQuestion = {
  readonly address: string;
  readonly port: number;
  readonly path: string;
  readonly msMax: number;
  /** Speak TLS oneself, as a client that no proxy helps. */
  readonly tls: ClientCredentials | null;
};

/** PEM texts; no certificate: none is shown to the server. */
export type ClientCredentials = { readonly certificate?: string; readonly key?: string };

export type RequestOutcome =
  | { readonly kind: "answer"; readonly status: number; readonly body: string }
  /** `code` as in errno(3) or a TLS alert; "" for an orderly end without an answer. */
  | { readonly kind: "refused"; readonly code: string }
  | { readonly kind: "silence"; readonly msMax: number };

export type Started = { readonly ready: boolean; readonly log: readonly string[] };

/** Options of a proxy, its credentials' among them. */
export type ProxyOrder = { readonly options: readonly string[] };

export type LineQuestion = { readonly text: string; readonly msMax: number };

/** A request the application got. */
export type Heard = { readonly path: string; readonly from: string };

/** Every order a host knows, with what it takes and what it reports. */
export type Orders = {
  readonly network: { readonly takes: null; readonly gives: null };
  readonly serve: { readonly takes: { readonly port: number }; readonly gives: null };
  readonly ask: { readonly takes: RequestQuestion; readonly gives: RequestOutcome };
  readonly heard: { readonly takes: null; readonly gives: readonly Heard[] };
  readonly startProxy: { readonly takes: ProxyOrder; readonly gives: Started };
  /** Resolves when the proxy is gone. */
  readonly endProxy: { readonly takes: "SIGTERM" | "SIGKILL"; readonly gives: null };
  /** Waits for a line of the proxy's log. */
  readonly findLine: { readonly takes: LineQuestion; readonly gives: string | null };
  readonly removeRules: { readonly takes: null; readonly gives: { readonly status: number } };
};

export type OrderName = keyof Orders;
export type Order<Name extends OrderName = OrderName> = {
  [Each in Name]: { readonly name: Each; readonly takes: Orders[Each]["takes"] };
}[Name];

/** The first line of a host, then one for each order. */
export type HostReport =
  | { readonly kind: "here"; readonly pid: number; readonly network: string }
  | { readonly kind: "done"; readonly gives: unknown }
  | { readonly kind: "failed"; readonly message: string };

/** Whole lines as they come; what follows the last newline is left out. */
export async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
