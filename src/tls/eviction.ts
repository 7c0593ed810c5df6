/** Chooses the connection to close when there is too little room. Pure. */

export type Group<T> = { readonly members: Set<T>; bytes: number };

/** The group that holds most, where each member counts `baseBytes` in addition to its bytes. */
export function heaviest<G extends Group<unknown>>(
  groups: Iterable<G>,
  baseBytes: number,
): G | undefined {
  let found: G | undefined;
  let most = -1;
  for (const group of groups) {
    const weight = group.bytes + group.members.size * baseBytes;
    if (weight <= most) continue;
    most = weight;
    found = group;
  }
  return found;
}

/**
 * The members of the host with the most connections of a source, if it has at least two more than `host`: neighbours
 * in a /64 do not suffer for each other. Null if no host stands out. Visits each member once.
 */
export function crowdOf<T extends { readonly host: string }>(
  members: Iterable<T>,
  host: string,
): readonly T[] | null {
  const hosts = new Map<string, T[]>();
  for (const member of members) {
    const known = hosts.get(member.host);
    if (known === undefined) hosts.set(member.host, [member]);
    else known.push(member);
  }
  let most: readonly T[] = [];
  for (const found of hosts.values()) if (found.length > most.length) most = found;
  return most.length > (hosts.get(host)?.length ?? 0) + 1 ? most : null;
}

/** The one with most bytes; the first of equal ones, which is the oldest. Null if there is none. */
export function greediest<T extends { readonly bytes: number }>(members: Iterable<T>): T | null {
  let found: T | null = null;
  for (const member of members) if (member.bytes > (found?.bytes ?? -1)) found = member;
  return found;
}
