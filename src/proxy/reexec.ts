/** What a process that gives up its privileges hands to the one that it becomes: open descriptors. */
import { ProxyError } from "../runtime/errors.ts";
import type { KeeperHanded } from "../intercept/repair/link.ts";
import type { HiddenHierarchy } from "../native/memory-limit.ts";
import { becomeAnew, setStaysOpen } from "../native/privileges.ts";
import type { Handed } from "../netlink/monitor.ts";

export type Handover = {
  /** Listening sockets by their places. */
  readonly places: readonly (readonly [place: string, fd: number])[];
  readonly status: number;
  /** Control groups that are mounted out of sight. */
  readonly groups: readonly HiddenHierarchy[];
  /** Sockets that hear of changes of the rules. */
  readonly notices: Handed;
  /** Connections from before the rules that were left in cleartext: `packTuples`. */
  readonly preexisting: readonly string[];
  readonly keeper: KeeperHanded;
  /** What the rules that stand were made of. */
  readonly interception: string;
};

/** Becomes this program anew, with these capabilities and these descriptors. Returns only by throwing SystemCallError. */
export function handOver(
  handover: Handover,
  keep: readonly number[],
  command: readonly string[],
): never {
  for (const fd of descriptorsOf(handover)) setStaysOpen(fd, true);
  becomeAnew(keep, command, { ...process.env, [variable]: JSON.stringify(handover) });
}

/** What was handed to this process, once; null at a first start. Throws START_FAILED for what nobody has handed over. */
export function takeHandover(): Handover | null {
  const text = process.env[variable];
  Reflect.deleteProperty(process.env, variable);
  if (text === undefined) return null;
  try {
    return adopt(text);
  } catch (error) {
    const why = `${variable} is set, and is not what this program leaves there: unset it`;
    throw new ProxyError("START_FAILED", why, { cause: error });
  }
}

function descriptorsOf(handover: Handover): readonly number[] {
  const { places, status, groups, notices, keeper } = handover;
  const several = [...places.map(([, fd]) => fd), ...groups.map(({ fd }) => fd)];
  return [...several, ...Object.values(notices), status, keeper.fd];
}

function adopt(text: string): Handover {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- this program has written it
  const handover = JSON.parse(text) as Handover;
  for (const fd of descriptorsOf(handover)) setStaysOpen(fd, false);
  return handover;
}

const variable = "TPROXY_HANDOVER_DESCRIPTORS";
