/** Steps that rules of both directions have. Pure. */
import type { SocketAddress } from "../net/address.ts";
import type { Family, Rule, Step } from "./plan.ts";

export const families = [4, 6] as const;
export const leave: Step = { kind: "verdict", verdict: "return" };
/** What becomes of packets that steps match. */
export type Leaving = (which: Rule) => readonly Rule[];
export const leaves: Leaving = (which) => [[...which, leave]];
export const tcp: Step = { kind: "tcp", is: true };
export const opening: Step = { kind: "opening" };
export const notOpening: Step = { kind: "opening", is: false };
export const drop: Step = { kind: "verdict", verdict: "drop" };
export const dropOpening: Rule = [opening, drop];

export function familiesOf(addresses: readonly SocketAddress[]): readonly Family[] {
  return families.filter((family) => addresses.some((address) => address.family === family));
}
