/** The status address: is the proxy alive, and is it ready. Nothing here changes state. */
import { readdirSync } from "node:fs";

import * as native from "../native/native.ts";
import { formatIp, type SocketAddress } from "../net/address.ts";
import { originalDestination } from "../net/original-destination.ts";

/** What stands between the proxy and readiness: an empty list means ready. */
export type Readiness = () => readonly string[];

export type StatusServer = { readonly stop: () => void };

export type StatusOptions = {
  readonly address: SocketAddress;
  /** The proxy's own fwmark, so that answers to peers in the mesh are not intercepted. */
  readonly mark: number;
  readonly readiness: Readiness;
};

/** Serves GET /healthz and /readyz. Throws Bun's EADDRINUSE or SystemCallError. */
export function serveStatus(options: StatusOptions): StatusServer {
  const server = Bun.serve({
    hostname: formatIp(options.address.bytes),
    port: options.address.port,
    development: false,
    idleTimeout: 10,
    maxRequestBodySize: 0,
    fetch: (request) => answer(request, options.readiness),
    error: () => text(500, "internal error"),
  });
  native.setMark(listeningDescriptor(options.address.port), options.mark);
  return {
    stop: () => {
      void server.stop(true);
    },
  };
}

function answer(request: Request, readiness: Readiness): Response {
  if (request.method !== "GET" && request.method !== "HEAD") return text(405, "GET only");
  switch (new URL(request.url).pathname) {
    case "/healthz":
      return text(200, "ok");
    case "/readyz": {
      const missing = readiness();
      return missing.length === 0 ? text(200, "ready") : text(503, missing.join("\n"));
    }
    default:
      return text(404, "try /healthz or /readyz");
  }
}

function text(status: number, body: string): Response {
  return new Response(`${body}\n`, { status, headers: { "content-type": "text/plain" } });
}

/** Bun.serve neither takes a descriptor nor tells its own: it is looked up by its port. */
function listeningDescriptor(port: number): number {
  const own = readdirSync("/proc/self/fd")
    .map(Number)
    .filter((fd) => native.tcpState(fd) === "listen")
    .find((fd) => originalDestination(fd).port === port);
  if (own === undefined) throw new Error(`no listening descriptor for port ${port}`);
  return own;
}
