/**
 * One HTTP/1 request that may be a declared probe: RFC 9112. Refuses what two servers could read differently, so that
 * the application reads what was judged. Pure.
 */
import {
  changesRequest,
  excerpt,
  isHost,
  nothingYet,
  readName,
  refuse,
  type Judge,
  type Judgement,
  type ProbeRefusal,
} from "./judge.ts";

/** `paths` without their queries. */
export class HttpJudge implements Judge {
  readonly kind = "http";
  readonly #paths: readonly string[];
  #bytes = new Uint8Array(0);
  #complete = false;

  constructor(paths: readonly string[]) {
    this.#paths = paths;
  }

  push(chunk: Uint8Array): Judgement {
    if (this.#complete) return refuse("more", "bytes after the request");
    // The rest of a longer request is not read.
    const part = chunk.subarray(0, headBytesMax + 1 - this.#bytes.length);
    const bytes = new Uint8Array(Buffer.concat([this.#bytes, part]));
    const judged = judgeRequest(bytes, this.#paths);
    if (judged === "incomplete") {
      this.#bytes = bytes;
      return nothingYet;
    }
    if (judged !== "probe") return refuse(judged.reason, judged.detail);
    this.#complete = true;
    return { kind: "pass", bytes, complete: true };
  }
}

/** Judges all bytes so far. */
export function judgeRequest(
  bytes: Uint8Array,
  paths: readonly string[],
): "incomplete" | "probe" | ProbeRefusal {
  const text = Buffer.from(bytes).toString("latin1");
  if (unreadable.test(text)) return refuse("malformed", "no HTTP request");
  const end = text.indexOf("\r\n\r\n");
  if (bytes.length > headBytesMax) return refuse("too-long", "a request that is too long");
  if (end === -1) return "incomplete";
  const [line = "", ...fields] = text.slice(0, end).split("\r\n");
  const refusal = judgeLine(line, paths) ?? judgeFields(fields, line.endsWith("1.1"));
  if (refusal !== null) return refusal;
  return bytes.length === end + 4 ? "probe" : refuse("more", "bytes after the request");
}

function judgeLine(line: string, paths: readonly string[]): ProbeRefusal | null {
  const [, method = "", target = ""] = requestLine.exec(line) ?? [];
  if (method === "") return refuse("malformed", `no request line: ${excerpt(line)}`);
  if (method !== "GET" && method !== "HEAD")
    return refuse("method", `the method ${excerpt(method)} is not one that probes use`);
  if (!target.startsWith("/") || target.includes("#"))
    return refuse("malformed", `no path: ${excerpt(target)}`);
  const path = target.replace(/\?.*/, "");
  return paths.includes(path) ? null : refuse("path", `the path ${excerpt(path)} ${notDeclared}`);
}

/** Without a body there is no length that could be read in two ways. */
function judgeFields(lines: readonly string[], wantsHost: boolean): ProbeRefusal | null {
  const names: string[] = [];
  for (const line of lines) {
    const [, name = "", value = ""] = field.exec(line) ?? [];
    if (name === "") return refuse("malformed", `no header field: ${excerpt(line)}`);
    const known = readName(name);
    if (known === "transfer_encoding" || (known === "content_length" && !isZero.test(value)))
      return refuse("body", "a request with a body");
    if (changesRequest(known))
      return refuse("malformed", `a request for another: ${excerpt(name)}`);
    if (known === "host" && !isHost(value))
      return refuse("malformed", `no host: ${excerpt(value)}`);
    names.push(known);
  }
  const count = (name: string): number => names.filter((one) => one === name).length;
  if (count("content_length") > 1) return refuse("malformed", "two lengths");
  const hosts = count("host");
  if (hosts > 1 || (wantsHost && hosts === 0))
    return refuse("malformed", `${hosts} fields of Host`);
  return null;
}

const headBytesMax = 8192;
/**
 * A control character, a lone CR or a lone LF: some servers take these as the end of a line (RFC 9112, 2.2). Servers
 * that first decode the bytes to text may do so for 0x85, or for U+0085 and U+2028 in UTF-8, all of which contain a
 * byte from 0x80 to 0x9F.
 */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const unreadable = /[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]|\r(?!\n|$)|(?<!\r)\n/;
const requestLine = /^([!#$%&'*+.^_`|~\w-]+) ([!-~]+) HTTP\/1\.[01]$/;
/**
 * No space before the colon, and no line that starts with a space, which would continue the one before: RFC 9112, 5.
 */
const field = /^([!#$%&'*+.^_`|~\w-]+):(.*)$/;
const isZero = /^[\t ]*0[\t ]*$/;
const notDeclared =
  "is not declared: --probe http:PORT/PATH lets it through (if a probe is redirected, declare its target too)";
