/**
 * Routes for sockets that are bound to an interface (socket(7), SO_BINDTODEVICE): these use only routes by that
 * interface. A local route by it leads to `lo` too, and the kernel treats answers there as if they came by the
 * interface (net/ipv4/route.c, ip_route_output_key_hash_rcu).
 */
import type { Family } from "../../net/address.ts";
import { existsSync, readdirSync, readFileSync } from "node:fs";

import { checkFile } from "../../native/errno.ts";
import * as route from "../../netlink/route.ts";
import { protocol, isErrno, type Kernel, type Request } from "../../netlink/socket.ts";
import type { Message } from "../../netlink/wire.ts";
import type { Plan } from "../rules/rule.ts";
import { families } from "../rules/steps.ts";

/**
 * Adds missing routes, for interfaces with an address; returns a function that removes them. Throws SystemCallError.
 */
export function followDevices(kernel: Kernel, plan: Plan): () => void {
  const added = missing(kernel, plan).filter((entry) =>
    asked(kernel, route.addDeviceDefault(entry)),
  );
  return () => {
    for (const entry of added) asked(kernel, route.deleteDeviceDefault(entry));
  };
}

/** Names of interfaces without such a route: sockets bound to them are not carried. Throws SystemCallError. */
export function devicesLeftOut(kernel: Kernel, plan: Plan): readonly string[] {
  const indices = new Set(missing(kernel, plan).map(({ device }) => device));
  return indices.size === 0 ? [] : namesOf(indices);
}

function missing(kernel: Kernel, plan: Plan): readonly route.DeviceRoute[] {
  const { table } = plan.routing;
  return families.flatMap((of) => {
    const known = new Set(routesOf(kernel, plan, of).map(({ device }) => device));
    const devices = [...devicesOf(kernel, of)].filter((device) => !known.has(device));
    return devices.map((device) => ({ family: of, table, device }));
  });
}

/** Names from /sys; without it the numbers. */
function namesOf(indices: ReadonlySet<number>): readonly string[] {
  const names = new Map(
    namesKnown().map((name) => [Number(readOrEmpty(`${interfaces}/${name}/ifindex`)), name]),
  );
  return [...indices].map((index) => names.get(index) ?? `interface ${index}`);
}

function namesKnown(): readonly string[] {
  if (!existsSync(interfaces)) return [];
  return checkFile(`list ${interfaces}`, () => readdirSync(interfaces));
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // It has disappeared meanwhile.
  }
}

/** Requests that add the present routes. Throws SystemCallError. */
export function deviceRoutes(kernel: Kernel, plan: Plan): readonly Request[] {
  return families.flatMap((of) =>
    routesOf(kernel, plan, of).map((entry) => route.addDeviceDefault(entry)),
  );
}

/** Removes all of them. Throws SystemCallError. */
export function removeDevices(kernel: Kernel, plan: Plan): void {
  for (const of of families)
    for (const entry of routesOf(kernel, plan, of)) asked(kernel, route.deleteDeviceDefault(entry));
}

function routesOf(
  kernel: Kernel,
  { routing: { table } }: Plan,
  of: Family,
): readonly route.DeviceRoute[] {
  return answers(kernel, route.listRoutes(of, table)).flatMap(({ payload }) => {
    const found = route.readLocalDefault(payload);
    const isOurs = found !== null && found.table === table && found.device !== route.loopbackIndex;
    return isOurs ? [{ family: of, ...found }] : [];
  });
}

/** Interfaces with an address of more than link scope. */
function devicesOf(kernel: Kernel, of: Family): ReadonlySet<number> {
  const found = answers(kernel, route.listAddresses(of)).map(({ payload }) =>
    route.readAddressPlace(payload),
  );
  const global = found.filter(({ scope, device }) => scope === 0 && device !== route.loopbackIndex);
  return new Set(global.map(({ device }) => device));
}

/** Empty if the kernel does not support the family, or the table is empty. */
function answers(kernel: Kernel, request: Request): readonly Message[] {
  try {
    using socket = kernel(protocol.route);
    return socket.exchange([request]);
  } catch (error) {
    if (isErrno(error, "EAFNOSUPPORT", "EOPNOTSUPP", "ENOENT")) return [];
    throw error;
  }
}

/** False if there is nothing to do, or the interface is gone or down: a notice reports when it is up again. */
function asked(kernel: Kernel, request: Request): boolean {
  try {
    using socket = kernel(protocol.route);
    socket.send([request]);
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST", "ESRCH", "ENETDOWN", "ENODEV", "EINVAL", "EACCES", "EOPNOTSUPP"))
      return false;
    throw error;
  }
}

const interfaces = "/sys/class/net";
