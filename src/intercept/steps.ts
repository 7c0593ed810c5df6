/** Steps that rules of both directions have. Pure. */
import type { SocketAddress } from "../net/address.ts";
import type { Family, Rule, Step } from "./plan.ts";

export const families = [4, 6] as const;
export const leave: Step = { kind: "verdict", verdict: "return" };
export const tcp: Step = { kind: "tcp", is: true };
export const opening: Step = { kind: "opening" };
export const dropOpening: Rule = [opening, { kind: "verdict", verdict: "drop" }];

export function familiesOf(addresses: readonly SocketAddress[]): readonly Family[] {
  return families.filter((family) => addresses.some((address) => address.family === family));
}
