/** The orders of the demo's director to a host, and the host's reports: one JSON line each. */

export type RequestQuestion = {
  readonly address: string;
  readonly port: number;
  readonly path: string;
  readonly msMax: number;
  /** Use TLS without a proxy. */
  readonly tls: ClientCredentials | null;
};

/** PEM texts; without a certificate none is sent to the server. */
export type ClientCredentials = { readonly certificate?: string; readonly key?: string };

export type RequestOutcome =
  | { readonly kind: "answer"; readonly status: number; readonly body: string }
  /** `code` as in errno(3) or a TLS alert; "" for an orderly end without an answer. */
  | { readonly kind: "refused"; readonly code: string }
  | { readonly kind: "silence"; readonly msMax: number };

export type Started = { readonly ready: boolean; readonly log: readonly string[] };

/** A proxy's options, including those for its credentials. */
export type ProxyOrder = { readonly options: readonly string[] };

export type LineQuestion = { readonly text: string; readonly msMax: number };

/** A request that the application received. */
export type Heard = { readonly path: string; readonly from: string };

/** Every order, with its argument and its result. */
export type Orders = {
  readonly network: { readonly takes: null; readonly gives: null };
  readonly serve: { readonly takes: { readonly port: number }; readonly gives: null };
  readonly ask: { readonly takes: RequestQuestion; readonly gives: RequestOutcome };
  readonly heard: { readonly takes: null; readonly gives: readonly Heard[] };
  readonly startProxy: { readonly takes: ProxyOrder; readonly gives: Started };
  /** Resolves when the proxy has ended. */
  readonly endProxy: { readonly takes: "SIGTERM" | "SIGKILL"; readonly gives: null };
  /** Waits for a line in the proxy's log. */
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

/** Complete lines as they arrive; text after the last newline is ignored. */
export async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
