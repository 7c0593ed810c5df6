/** The source addresses that the proxy tries in turn toward its application. */
import { describe, expect, test } from "bun:test";

import { parseSocketAddress, formatSocketAddress } from "../../../src/net/address.ts";
import { candidatesOf, type Facts } from "../../../src/original-source/candidates.ts";

const client = "10.0.0.1";
const facts: Facts = {
  mode: "ip-port",
  wire: parseSocketAddress(`${client}:12000`),
  clientAddress: { source: parseSocketAddress(`${client}:40000`), distinctPort: true },
  original: parseSocketAddress("10.0.0.2:80"),
  returns: () => true,
  onWire: () => false,
  silent: false,
  standing: true,
  sparePort: () => 25_000,
};

/** "10.0.0.1:40000 > 10.0.0.2:80 ip-port/as-asked", one after the other. */
function tried(change: Partial<Facts>): readonly string[] {
  return [...candidatesOf({ ...facts, ...change })].map(({ origin, to, kept, reason }) => {
    const from = origin.kind === "any" ? "itself" : formatSocketAddress(origin.address);
    return `${from} > ${formatSocketAddress(to)} ${kept}/${reason}`;
  });
}

const direct = `${client}:40000 > 10.0.0.2:80 ip-port/as-asked`;
const spare = (reason: string): string => `${client}:25000 > 10.0.0.2:80 ip/${reason}`;
const itself = (reason: string): string => `itself > 10.0.0.2:80 none/${reason}`;
const alias = (from: string, kept: string): string => `${from} > 169.254.77.1:80 ${kept}`;

describe("a client with a proxy", () => {
  test("is seen by its port, else at the alias, else by its address, else as the pod itself", () => {
    expect(tried({})).toEqual([
      direct,
      alias(`${client}:40000`, "ip-port/alias"),
      ...Array.from({ length: 4 }, () => spare("same-tuple")),
      itself("same-tuple"),
    ]);
  });

  test.each([
    ["whose port may be used on the wire again", { distinctPort: false }, "wire-port"],
    ["with another address than on the wire", { source: "10.0.0.3:40000" }, "address-differs"],
    ["without a port", { source: `${client}:0` }, "wire-port"],
  ] as const)("%s is not seen by its port at the application's address", (_, change, reason) => {
    const source = parseSocketAddress("source" in change ? change.source : `${client}:40000`);
    const clientAddress = {
      source,
      distinctPort: "distinctPort" in change ? change.distinctPort : true,
    };
    expect(tried({ clientAddress })).not.toContain(direct);
    expect(tried({ clientAddress }).at(-1)).toBe(itself(reason));
  });

  test("without a free port on the wire: the application keeps its own address, and the alias comes last", () => {
    const source = parseSocketAddress(`${client}:40000`);
    const clientAddress = { source, distinctPort: false };
    expect(tried({ clientAddress })).toEqual([
      ...Array.from({ length: 4 }, () => spare("wire-port")),
      alias(`${client}:40000`, "ip-port/alias"),
      itself("wire-port"),
    ]);
  });

  test("whose port belongs to another connection on the wire is not seen by it at the application's address", () => {
    expect(tried({ onWire: () => true })[0]).toBe(alias(`${client}:40000`, "ip-port/alias"));
  });

  test("whose address differs from the one on the wire is never seen by the address that it sends", () => {
    const clientAddress = { source: parseSocketAddress("10.0.0.3:40000"), distinctPort: true };
    expect(tried({ clientAddress }).filter((one) => one.includes("10.0.0.3"))).toEqual([]);
    expect(tried({ clientAddress })[0]).toBe(alias(`${client}:12000`, "ip/address-differs"));
  });
});

test("a client that sends no address is seen by its port on the wire, at the alias", () => {
  expect(tried({ clientAddress: null })[0]).toBe(alias(`${client}:12000`, "ip-port/alias"));
  expect(tried({ clientAddress: null }).at(-1)).toBe(itself("foreign-client"));
});

test("ip preserves only the address, and never uses the alias", () => {
  expect(new Set(tried({ mode: "ip" }))).toEqual(new Set([spare("as-asked"), itself("no-port")]));
});

test.each([
  ["off", { mode: "off" }, "as-asked"],
  ["the client is this pod", { wire: parseSocketAddress("10.0.0.2:12000") }, "self"],
  ["a link-local client", { wire: parseSocketAddress("169.254.1.1:12000") }, "link-local"],
  ["an IPv6 link-local client", { wire: parseSocketAddress("[fe80::1]:12000") }, "link-local"],
  ["an application that has not answered", { silent: true }, "no-answer"],
  ["rules that others have changed", { standing: false }, "rules-changed"],
] as const)("%s: seen as the pod itself", (_, change, reason) => {
  expect(tried(change)).toEqual([itself(reason)]);
});

test("a client whose answers would not return is seen at the alias, or as the pod itself", () => {
  expect(tried({ returns: () => false })).toEqual([
    alias(`${client}:40000`, "ip-port/alias"),
    itself("no-return-path"),
  ]);
});

test("without a spare port no address is preserved at the application's own", () => {
  expect(tried({ mode: "ip", sparePort: () => null })).toEqual([itself("no-port")]);
});

test("a spare port in use on the wire, including its own, is skipped", () => {
  const ports = [25_000, 25_001];
  const sparePort = (): number | null => ports.shift() ?? null;
  expect(tried({ mode: "ip", sparePort, onWire: ({ port }) => port === 25_000 })).toEqual([
    `${client}:25001 > 10.0.0.2:80 ip/as-asked`,
    itself("no-port"),
  ]);
});
