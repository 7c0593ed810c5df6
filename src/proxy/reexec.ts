/** The state that a process passes to the program it re-executes: open descriptors. */
import { ProxyError } from "../runtime/errors.ts";
import type { HandedRepair } from "../intercept/repair/link.ts";
import type { HiddenHierarchy } from "../native/memory-limit.ts";
import { reexec, setStaysOpen } from "../native/privileges.ts";
import type { HandedSubscriptions } from "../netlink/monitor.ts";

export type HandedState = {
  /** Listening sockets by address. */
  readonly places: readonly (readonly [place: string, fd: number])[];
  readonly status: number;
  /** Control groups whose mount is hidden. */
  readonly groups: readonly HiddenHierarchy[];
  /** Notice sockets for changes to the rules. */
  readonly notices: HandedSubscriptions;
  /** Preexisting connections left in cleartext: `packTuples`. */
  readonly preexisting: readonly string[];
  readonly repair: HandedRepair;
  /** The interception from which the present rules were made. */
  readonly interception: string;
};

/** Re-executes this program with these capabilities and these descriptors. Returns only by throwing SystemCallError. */
export function reexecWith(
  state: HandedState,
  keep: readonly number[],
  command: readonly string[],
): never {
  for (const fd of descriptorsOf(state)) setStaysOpen(fd, true);
  reexec(keep, command, { ...process.env, [variable]: JSON.stringify(state) });
}

/** The state passed to this process, returned once; null at a first start. Throws START_FAILED for an invalid one. */
export function takeHandedState(): HandedState | null {
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

function descriptorsOf(state: HandedState): readonly number[] {
  const { places, status, groups, notices, repair } = state;
  const several = [...places.map(([, fd]) => fd), ...groups.map(({ fd }) => fd)];
  return [...several, ...Object.values(notices), status, repair.fd];
}

function adopt(text: string): HandedState {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- this program has written it
  const state = JSON.parse(text) as HandedState;
  for (const fd of descriptorsOf(state)) setStaysOpen(fd, false);
  return state;
}

const variable = "TPROXY_REEXEC_STATE";
