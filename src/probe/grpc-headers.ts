/** The headers of a health check: RFC 9113, 8.2 and 8.3; gRPC over HTTP/2. Pure. */
import { changesRequest, excerpt, isHost, readName, refuse, type ProbeRefusal } from "./judge.ts";
import type { HeaderField } from "./static-table.ts";

/** Null for the headers of a check. */
export function judgeCall(headers: readonly HeaderField[]): ProbeRefusal | null {
  const names = headers.map(([name]) => (name.startsWith(":") ? name : readName(name)));
  const pseudo = headers.filter(([name]) => name.startsWith(":"));
  const malformed = headers.find(([name, value], at) => !isWell(name, value, at < pseudo.length));
  if (malformed !== undefined)
    return refuse("malformed", `a header that no probe has: ${excerpt(malformed[0])}`);
  const single = [...wanted.keys(), "content_type", "te"].every(
    (name) => names.filter((one) => one === name).length <= 1,
  );
  if (!single) return refuse("malformed", "a header twice");
  return judgeFields(new Map(headers));
}

function judgeFields(fields: ReadonlyMap<string, string>): ProbeRefusal | null {
  for (const [name, { reason, value }] of wanted) {
    const found = fields.get(name) ?? "";
    if (value !== null && found !== value)
      return refuse(reason, `the ${name.slice(1)} ${excerpt(found)} is not that of a health check`);
  }
  if (!isHost(fields.get(":authority") ?? "")) return refuse("malformed", "no host as authority");
  if (/^application\/grpc($|[+;])/.test(fields.get("content-type") ?? "")) return null;
  return refuse("malformed", "it is not gRPC");
}

function isWell(name: string, value: string, first: boolean): boolean {
  if (name.startsWith(":")) return first && wanted.has(name) && visible.test(value);
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name) || !visible.test(value)) return false;
  const known = readName(name);
  return !changesRequest(known) && !foreign.has(known) && (known !== "te" || value === "trailers");
}

const wanted: ReadonlyMap<
  string,
  { readonly reason: "method" | "malformed" | "path"; readonly value: string | null }
> = new Map([
  [":method", { reason: "method", value: "POST" }],
  [":scheme", { reason: "malformed", value: "http" }],
  [":path", { reason: "path", value: "/grpc.health.v1.Health/Check" }],
  [":authority", { reason: "malformed", value: null }],
]);
const visible = /^[\t -~\u00A0-\u00FF]*$/;
/** Headers of HTTP/1, or duplicates of pseudo-headers: RFC 9113, 8.2.2 and 8.3.1. Names from `readName`. */
const foreign = new Set([
  "connection",
  "content_length",
  "host",
  "keep_alive",
  "proxy_connection",
  "transfer_encoding",
  "upgrade",
]);
