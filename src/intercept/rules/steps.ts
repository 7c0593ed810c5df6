/** Steps common to rules of both directions. Pure. */
import type { SocketAddress, Family } from "../../net/address.ts";
import type { Rule, Step } from "./rule.ts";

export const families = [4, 6] as const;
export const leave: Step = { kind: "verdict", verdict: "return" };
/** Rules for packets that match the steps. */
export type LeavingRules = (which: Rule) => readonly Rule[];
export const leaves: LeavingRules = (which) => [[...which, leave]];
export const tcp: Step = { kind: "tcp", is: true };
export const opening: Step = { kind: "opening" };
export const notOpening: Step = { kind: "opening", is: false };
export const drop: Step = { kind: "verdict", verdict: "drop" };
/** Hands packets to the proxy's listener, or to the connection that it has accepted. */
export function toProxy(family: Family, port: number): readonly Step[] {
  return [{ kind: "tproxy", family, port }, { kind: "whole-socket" }, accept];
}

/** Continues with packets of a connection that is over, or about to begin. */
export function onToProxy(family: Family, port: number): readonly Step[] {
  return [notOpening, { kind: "tproxy", family, port }, accept];
}

export const accept: Step = { kind: "verdict", verdict: "accept" };
export const dropOpening: Rule = [opening, drop];

export function familiesOf(addresses: readonly SocketAddress[]): readonly Family[] {
  return families.filter((family) => addresses.some((address) => address.family === family));
}
