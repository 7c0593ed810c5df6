/** Who makes room where there is too little of it. Pure. */

export type Group<T> = { readonly members: Set<T>; bytes: number };

/** The group that keeps most, each member of which keeps `baseBytes` beside its bytes. */
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

/** The one with most bytes; of equal ones the first, which has been there for longest. Null if there is none. */
export function greediest<T extends { readonly bytes: number }>(members: Iterable<T>): T | null {
  let found: T | null = null;
  for (const member of members) if (member.bytes > (found?.bytes ?? -1)) found = member;
  return found;
}
