/** The addresses that peers reach this network namespace by: getifaddrs(3). */
import { networkInterfaces } from "node:os";

import { aliasTexts } from "./alias.ts";
import { parseHost } from "./address.ts";

export type OwnAddress = {
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
  /** Length of the interface's prefix in bits. Pods often have all 32 or 128. */
  readonly prefix: number;
  readonly interface: string;
};

/** What getifaddrs(3) says of one address, as node:os has it. */
export type Listed = {
  readonly address: string;
  readonly cidr: string | null;
  readonly internal: boolean;
};

/** All but loopback's, and but for our own alias, which is on `lo` as well. */
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
