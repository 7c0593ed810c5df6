/** What is made of the bytes that say they are a probe: they pass, or the connection ends. Pure. */
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
export type Refusal = { readonly reason: RefusalReason; readonly detail: string };

export type Judgement =
  /** These bytes are the application's; none of them yet if there are none. `complete`: the request is whole. */
  | { readonly kind: "pass"; readonly bytes: Uint8Array; readonly complete: boolean }
  | ({ readonly kind: "refuse" } & Refusal);

/** Looks at a client's bytes in their order. After a refusal it is not asked again. */
export type Judge = {
  readonly kind: ProbeKind;
  readonly push: (chunk: Uint8Array) => Judgement;
};

export function refuse(reason: RefusalReason, detail: string): Judgement & Refusal {
  return { kind: "refuse", reason, detail };
}

export const nothingYet: Judgement = { kind: "pass", bytes: new Uint8Array(0), complete: false };

/** A client's words for the log. */
export function excerpt(text: string): string {
  const short = text.length > excerptLengthMax ? `${text.slice(0, excerptLengthMax)}…` : text;
  return JSON.stringify(short);
}

/** Whether some frameworks answer as if another method or path had been asked for; a name in lower case. */
export function changesRequest(name: string): boolean {
  return changing.has(name);
}

const changing = new Set([
  "x-http-method",
  "x-http-method-override",
  "x-method-override",
  "x-original-url",
  "x-rewrite-url",
]);
const excerptLengthMax = 60;
