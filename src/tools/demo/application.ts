/** A plain HTTP application without TLS; it records each request and its sender. */
import type { Heard } from "./messages.ts";
import { answerText } from "./topology.ts";

export type Application = { readonly heard: readonly Heard[] };

/** Serves every address of this host, IPv4 and IPv6. Ends with the process. */
export function serveApplication(name: string, port: number): Application {
  const heard: Heard[] = [];
  Bun.serve({
    hostname: "::",
    port,
    development: false,
    fetch: (request, server) => {
      const { pathname, search } = new URL(request.url);
      heard.push({ path: pathname + search, from: server.requestIP(request)?.address ?? "" });
      return new Response(bodyOf(name));
    },
  });
  return { heard };
}

/** Several TLS records long. */
function bodyOf(name: string): string {
  return `${name}: ${answerText}\n`.repeat(answerLines);
}

const answerLines = 512;
