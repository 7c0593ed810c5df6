/** The small part of HTTP/1 that probes and scrapers use: RFC 9112. Pure. */

export type StatusRequest = { readonly method: string; readonly path: string };

/** A request's head: null while it is incomplete, "bad" if it is invalid. Anything after it is ignored. */
export function parseHead(text: string): StatusRequest | "bad" | null {
  const line = /^([A-Z]{1,16}) (\/[\u0021-\u007E]*) HTTP\/1\.[01]\r?\n/.exec(text);
  if (line === null) return text.includes("\n") || text.length > headLengthMax ? "bad" : null;
  if (!/\r?\n\r?\n/.test(text)) return text.length > headLengthMax ? "bad" : null;
  const [path = ""] = (line[2] ?? "").split("?");
  return { method: line[1] ?? "", path };
}

export type Answer = { readonly status: number; readonly type: string; readonly body: string };

/** The whole answer, after which the connection ends. HEAD gets no body. */
export function formatAnswer({ status, type, body }: Answer, method: string): string {
  const head = [
    `HTTP/1.1 ${status} ${reasons.get(status) ?? "Error"}`,
    `content-type: ${type}`,
    `content-length: ${new TextEncoder().encode(body).length}`,
    "connection: close",
  ];
  return `${head.join("\r\n")}\r\n\r\n${method === "HEAD" ? "" : body}`;
}

const headLengthMax = 8192;
const reasons = new Map([
  [200, "OK"],
  [400, "Bad Request"],
  [404, "Not Found"],
  [405, "Method Not Allowed"],
  [500, "Internal Server Error"],
  [503, "Service Unavailable"],
]);
