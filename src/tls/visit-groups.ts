/** Peers whose handshakes are in progress, by source: what they hold, and which of them makes room for another. */
import { unverifiedLimits as limits } from "../config.ts";
import { crowdOf, greediest, heaviest, type Group } from "./eviction.ts";
import type { Visit, VisitOrigin } from "./visit.ts";

/** A source is an IPv4 address, or the first half of an IPv6 address. */
export class VisitGroups {
  readonly #groups = new Map<string, Group<Visit>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** What all of them hold beyond their base allowances. */
  get bytes(): number {
    let sum = 0;
    for (const group of this.#groups.values()) sum += group.bytes;
    return sum;
  }

  sizeOf(source: string): number {
    return this.#groups.get(source)?.members.size ?? 0;
  }

  all(): readonly Visit[] {
    const visits: Visit[] = [];
    for (const { members } of this.#groups.values())
      for (const visit of members) visits.push(visit);
    return visits;
  }

  add(visit: Visit): void {
    const group = this.#groups.get(visit.source) ?? { members: new Set(), bytes: 0 };
    this.#groups.set(visit.source, group);
    group.members.add(visit);
    this.#size += 1;
  }

  /** False if it was removed before. */
  remove(visit: Visit): boolean {
    const group = this.#groups.get(visit.source);
    if (group?.members.delete(visit) !== true) return false;
    group.bytes -= visit.bytes;
    if (group.members.size === 0) this.#groups.delete(visit.source);
    this.#size -= 1;
    return true;
  }

  /** What a member holds now, beyond its base allowance. */
  note(visit: Visit, bytes: number): void {
    const group = this.#groups.get(visit.source);
    if (group !== undefined) group.bytes += bytes - visit.bytes;
    visit.bytes = bytes;
  }

  /** The one that makes room for one more connection of `source`, null if none does: `Unverified.makeRoom`. */
  victimFor(origin: VisitOrigin, now: number): Visit | null {
    const { source } = origin;
    const group = heaviest(this.#groups.values(), limits.baseBytes);
    if (group === undefined) return null;
    if (this.#groups.get(source) === group) return this.victimWithin(origin, now);
    const isHeavier = group.members.size > this.sizeOf(source) + 1;
    return greediest(isHeavier ? group.members : oldOf(group, now));
  }

  /** Like `victimFor`, within the same source. */
  victimWithin({ source, host }: VisitOrigin, now: number): Visit | null {
    const group = this.#groups.get(source);
    if (group === undefined) return null;
    return greediest(crowdOf(group.members, host) ?? oldOf(group, now));
  }

  /** The one that holds most of those of the source that holds most. */
  largest(): Visit | null {
    const group = heaviest(this.#groups.values(), 0);
    return group === undefined ? null : greediest(group.members);
  }
}

function* oldOf({ members }: Group<Visit>, now: number): Iterable<Visit> {
  const before = now - limits.graceMs;
  for (const visit of members) if (visit.since <= before) yield visit;
}
