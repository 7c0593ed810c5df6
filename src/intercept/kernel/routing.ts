/** What routes marked packets to `lo`, for both families: a rule, a route, and the pod's alias address. Pure. */
import { aliases } from "../../net/alias.ts";
import * as route from "../../netlink/route.ts";
import type { Request } from "../../netlink/socket.ts";
import type { Plan } from "../rules/rule.ts";
import { families } from "../rules/steps.ts";

export type Entry = { readonly add: Request; readonly delete: Request };

/** Rules, routes and the address on `lo`, in the order in which they are added. */
export function routingOf(plan: Plan): readonly Entry[] {
  return families.flatMap((of) => {
    const rule = { family: of, ...plan.mark, ...plan.routing };
    const { table } = plan.routing;
    return [
      { add: route.addRoutingRule(rule), delete: route.deleteRoutingRule(rule) },
      { add: route.addLocalDefault(of, table), delete: route.deleteLocalDefault(of, table) },
      {
        add: route.addLoopbackAddress(aliases[of]),
        delete: route.deleteLoopbackAddress(aliases[of]),
      },
    ];
  });
}
