/** The parts that the repair process writes: rules and routes, and the table in each of its states. Pure. */
import type { Interception } from "../rules/interception.ts";
import { ProxyError } from "../../runtime/errors.ts";
import type { Request } from "../../netlink/socket.ts";
import { concat, message } from "../../netlink/wire.ts";
import type { Command } from "./frames.ts";
import { fillBatch, type Connections } from "../kernel/encode.ts";
import { closedOf, changingPlanOf, planOf } from "../rules/plan.ts";
import type { Plan } from "../rules/rule.ts";
import { routingOf } from "../kernel/routing.ts";

/** Numbers of the parts: ffi/src/repair_next.zig. */
export const part = { routing: 0, open: 1, changing: 2, closed: 3 } as const;

/** The states of the table: as planned, while a policy changes, and closed when the proxy has ended. */
export type TableState = "open" | "changing" | "closed";

/** What was found at the start. */
export type Found = {
  /** Elements of sets that packets change. */
  readonly known: Connections;
  /** Routes by interfaces other than `lo`: devices.ts. */
  readonly devices: readonly Request[];
};

/** A text that differs for different interceptions. */
export function textOf(interception: Interception): string {
  return JSON.stringify(interception, (_, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
}

export function digestOf(interception: Interception): string {
  return new Bun.CryptoHasher("sha256").update(textOf(interception)).digest("hex");
}

/** Throws START_FAILED if there are too many rules for the repair process. */
export function partsOf(interception: Interception, { known, devices }: Found): readonly Command[] {
  const plan = planOf(interception);
  const [open, changing, closed] = alike([
    plan,
    changingPlanOf(interception),
    closedOf(interception),
  ]);
  return [
    load(part.routing, [...routingOf(plan).map(({ add }) => add), ...devices]),
    load(part.open, fillBatch(open, known)),
    load(part.changing, fillBatch(changing, known)),
    load(part.closed, fillBatch(closed, known)),
  ];
}

type States = readonly [open: Plan, changing: Plan, closed: Plan];

/** Gives all states the same chains: one without rules in a state is empty there. */
function alike([open, changing, closed]: States): States {
  const all = [...open.chains, ...changing.chains, ...closed.chains];
  const names = new Map(all.map(({ name, base }) => [name, { name, base }]));
  const filled = (plan: Plan): Plan => {
    const missing = [...names.values()].filter(({ name }) =>
      plan.chains.every((chain) => chain.name !== name),
    );
    const empty = missing.map(({ name, base }) => ({ name, base, rules: [] }));
    return { ...plan, chains: [...plan.chains, ...empty] };
  };
  return [filled(open), filled(changing), filled(closed)];
}

function load(number: number, requests: readonly Request[]): Command {
  const bytes = concat(...requests.map((request, at) => message(request, at + 1, ...request.body)));
  if (bytes.length <= partBytesMax) return { kind: "load", part: number, bytes };
  const text = `rules: ${bytes.length} bytes are too many for the repair process: name fewer ranges and ports, or use --privileges kept`;
  throw new ProxyError("START_FAILED", text);
}

/** ffi/src/repair_next.zig. */
const partBytesMax = 4 << 20;
