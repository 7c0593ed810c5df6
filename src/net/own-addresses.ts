/** The addresses by which peers reach this network namespace: getifaddrs(3). */
import { networkInterfaces } from "node:os";

import { aliasTexts } from "./alias.ts";
import { parseHost } from "./address.ts";

export type OwnAddress = {
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
  /** Length of the interface's prefix in bits: often all 32 or 128 in pods. */
  readonly prefix: number;
  readonly interface: string;
};

/** One address from getifaddrs(3), in the format of node:os. */
export type Listed = {
  readonly address: string;
  readonly cidr: string | null;
  readonly internal: boolean;
};

/** All except loopback addresses and our own alias, which is on `lo` too. */
export function ownAddresses(
  interfaces: Readonly<Record<string, readonly Listed[] | undefined>> = networkInterfaces(),
): readonly OwnAddress[] {
  return Object.entries(interfaces).flatMap(([name, listed = []]) =>
    listed
      .filter(({ internal, address }) => !internal && name !== "lo" && !isAlias(address))
      .map(({ address, cidr }) => own(name, address, cidr)),
  );
}

function own(name: string, address: string, cidr: string | null): OwnAddress {
  const bytes = parseHost(address.replace(/%.*$/, ""));
  const family = bytes.length === 4 ? 4 : 6;
  const prefix = Number(cidr?.split("/")[1] ?? 8 * bytes.length);
  return { family, bytes, prefix, interface: name };
}

function isAlias(address: string): boolean {
  return address === aliasTexts[4] || address === aliasTexts[6];
}
