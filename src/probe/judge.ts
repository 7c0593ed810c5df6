/** The verdict on bytes that claim to be a probe: they pass, or the connection ends. Pure. */
import { quote } from "../runtime/log/escape.ts";
import type { ProbeKind } from "./probe.ts";

/** A closed list, so that no data from a client becomes a metric label. */
export const probeRefusals = [
  /** Not a valid request, or one that two readers might read differently. */
  "malformed",
  "too-long",
  "method",
  /** Not declared. */
  "path",
  "service",
  "body",
  /** Data after the one request. */
  "more",
  "silent",
  "timeout",
  /** The client has left before its request was complete. */
  "closed",
  /** The application refuses the connection. */
  "unreached",
] as const;
export type ProbeRefusalReason = (typeof probeRefusals)[number];

/** `detail` is for the log: a client's text in it is quoted and shortened. */
export type ProbeRefusal = { readonly reason: ProbeRefusalReason; readonly detail: string };

export type Judgement =
  /** These bytes may go to the application; there may be none yet. `complete`: the request is complete. */
  | { readonly kind: "pass"; readonly bytes: Uint8Array; readonly complete: boolean }
  | ({ readonly kind: "refuse" } & ProbeRefusal);

/** Judges a client's bytes in order. Not called again after a refusal. */
export type Judge = {
  readonly kind: ProbeKind;
  readonly push: (chunk: Uint8Array) => Judgement;
};

export function refuse(reason: ProbeRefusalReason, detail: string): Judgement & ProbeRefusal {
  return { kind: "refuse", reason, detail };
}

export const nothingYet: Judgement = { kind: "pass", bytes: new Uint8Array(0), complete: false };

/** A client's text, shortened for the log. */
export function excerpt(text: string): string {
  return quote(text, excerptLengthMax);
}

/**
 * A header's name as the most lenient server reads it: CGI and similar interfaces (RFC 3875, 4.1.18; WSGI, Rack, PHP)
 * map names that differ only in case and in characters other than letters and digits to one variable.
 */
export function readName(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, "_");
}

/** Whether some frameworks would answer as for another method, path or protocol; takes a name from `readName`. */
export function changesRequest(name: string): boolean {
  return changing.test(name);
}

/** Whether it is a host, or a host and port, and nothing else: a URL made of it and the path then has that path. */
export function isHost(value: string): boolean {
  return host.test(value);
}

/**
 * X-HTTP-Method-Override, X-Original-URL, X-Rewrite-URL, X-Forwarded-Prefix, Path-Info and similar, by their words:
 * frameworks have more of them than any list. Proxy becomes HTTP_PROXY for CGI programs (CVE-2016-5385).
 */
const changing =
  /(^|_)(https?methods?|methods?|paths?|pathinfo|prefix|(original|rewrite)?ur[il]s?|scriptname)(_|$)|override|rewrite|script_name|^(http2_settings|proxy|upgrade)$/;
const host = /^[\t ]*([\w.~-]*|\[[\w.:%~-]+\])(:\d{0,5})?[\t ]*$/;
const excerptLengthMax = 60;
