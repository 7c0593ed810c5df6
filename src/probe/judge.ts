/** What is made of the bytes that say they are a probe: they pass, or the connection ends. Pure. */
import { quote } from "../runtime/log/escape.ts";
import type { ProbeKind } from "./probe.ts";

/** From a closed list: what a client sends never becomes a label. */
export const refusals = [
  /** Bytes that are no such request, or one that two readers might read differently. */
  "malformed",
  "too-long",
  "method",
  /** Not declared. */
  "path",
  "service",
  "body",
  /** Something after the one request. */
  "more",
  "silent",
  "timeout",
  /** The client has gone before it had said all. */
  "closed",
  /** The application does not take the connection. */
  "unreached",
] as const;
export type RefusalReason = (typeof refusals)[number];

/** `detail` is for the log: what of it a client has written is quoted and short. */
export type ProbeRefusal = { readonly reason: RefusalReason; readonly detail: string };

export type Judgement =
  /** These bytes are the application's; none of them yet if there are none. `complete`: the request is whole. */
  | { readonly kind: "pass"; readonly bytes: Uint8Array; readonly complete: boolean }
  | ({ readonly kind: "refuse" } & ProbeRefusal);

/** Looks at a client's bytes in their order. After a refusal it is not asked again. */
export type Judge = {
  readonly kind: ProbeKind;
  readonly push: (chunk: Uint8Array) => Judgement;
};

export function refuse(reason: RefusalReason, detail: string): Judgement & ProbeRefusal {
  return { kind: "refuse", reason, detail };
}

export const nothingYet: Judgement = { kind: "pass", bytes: new Uint8Array(0), complete: false };

/** A client's words for the log. */
export function excerpt(text: string): string {
  return quote(text, excerptLengthMax);
}

/**
 * A header's name as the most lenient server reads it: CGI and its kin (RFC 3875, 4.1.18; WSGI, Rack, PHP) make one variable of
 * all names that differ in case and in what is neither letter nor digit.
 */
export function readName(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, "_");
}

/** Whether some frameworks answer as if another method, path or protocol had been asked for; a name of `readName`. */
export function changesRequest(name: string): boolean {
  return changing.test(name);
}

/** Whether a host, or a host and port, and nothing else: a URL that is made of it and the path has that path. */
export function isHost(value: string): boolean {
  return host.test(value);
}

/**
 * X-HTTP-Method-Override, X-Original-URL, X-Rewrite-URL, X-Forwarded-Prefix, Path-Info and their like, by their words: frameworks
 * have more of them than any list. Proxy is HTTP_PROXY for programs of CGI (CVE-2016-5385).
 */
const changing =
  /(^|_)(https?methods?|methods?|paths?|pathinfo|prefix|(original|rewrite)?ur[il]s?|scriptname)(_|$)|override|rewrite|script_name|^(http2_settings|proxy|upgrade)$/;
const host = /^[\t ]*([\w.~-]*|\[[\w.:%~-]+\])(:\d{0,5})?[\t ]*$/;
const excerptLengthMax = 60;
