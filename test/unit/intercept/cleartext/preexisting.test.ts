/** Preexisting cleartext connections, and a kernel that does not reset them. */
import { expect, test } from "bun:test";

import { externalRules } from "../../../../src/intercept/kernel/external.ts";
import type { Installed } from "../../../../src/intercept/kernel/install.ts";
import { elementOf, keyOf } from "../../../../src/intercept/kernel/open-before.ts";
import { type Tuple } from "../../../../src/intercept/kernel/proc-tcp.ts";
import {
  packTuples,
  leaveOrReset,
  unpackTuples,
} from "../../../../src/intercept/cleartext/preexisting.ts";
import { defaultFixed, defaultPolicy } from "../../../../src/config.ts";
import { parseHost } from "../../../../src/net/address.ts";
import { interceptionOf } from "../../../../src/intercept/rules/interception.ts";
import { FakeKernel } from "../../../support/fake-kernel.ts";

function tuple(sourcePort: number, inode = "7"): Tuple {
  const [source, destination] = [parseHost("10.0.0.1"), parseHost("10.0.0.2")];
  return { inode, uid: 0, isOpening: false, source, sourcePort, destination, destinationPort: 80 };
}

class Rules {
  readonly forgotten: Tuple[] = [];
  readonly installed: Installed;

  constructor(exempt: readonly Tuple[], isOurs = true) {
    this.installed = {
      ...externalRules(interceptionOf(defaultPolicy, defaultFixed), "a test"),
      isOurs,
      openBefore: new Map([["open-before4", exempt.map((one) => elementOf(one))]]),
      forget: (some) => {
        this.forgotten.push(...some);
      },
    };
  }
}

const errno = { noent: 2, notsupp: 95 } as const;
const outbound = (): "outbound" => "outbound";

test("exempt connections that would now be refused are reset, and no others", () => {
  const [exempt, other] = [tuple(1), tuple(2)];
  const { installed, forgotten } = new Rules([exempt]);
  const kernel = new FakeKernel(() => 0);
  const found = leaveOrReset(installed, {
    mode: "reset",
    refused: outbound,
    kernel: kernel.open,
    sockets: () => [exempt, other],
  });
  expect(found.reset).toEqual([exempt]);
  expect(forgotten).toEqual([]);
  expect(kernel.asked).toEqual(["list links", "destroy the socket of port 1"]);
});

test("connections that the kernel cannot reset are no longer exempt", () => {
  const exempt = tuple(1);
  const { installed, forgotten } = new Rules([exempt]);
  const { open } = new FakeKernel(({ about }) => (about.startsWith("destroy") ? errno.notsupp : 0));
  const found = leaveOrReset(installed, {
    mode: "reset",
    refused: outbound,
    kernel: open,
    sockets: () => [exempt],
  });
  expect([found.reset, found.blocked]).toEqual([[], [exempt]]);
  expect(found.refusal).toContain("EOPNOTSUPP");
  expect(forgotten).toEqual([exempt]);
});

test("a connection that has ended by itself is not listed", () => {
  const exempt = tuple(1);
  const { installed, forgotten } = new Rules([exempt]);
  const { open } = new FakeKernel(({ about }) => (about.startsWith("destroy") ? errno.noent : 0));
  const sockets = (): readonly Tuple[] => [exempt];
  const found = leaveOrReset(installed, {
    mode: "reset",
    refused: outbound,
    kernel: open,
    sockets,
  });
  expect([found.left, found.reset, found.blocked, forgotten]).toEqual([[], [], [], []]);
});

test("with external rules all that would be refused are named, without any request to the kernel", () => {
  const { installed } = new Rules([], false);
  const kernel = new FakeKernel(() => 0);
  const sockets = (): readonly Tuple[] => [tuple(1), tuple(2, "0")];
  const found = leaveOrReset(installed, {
    mode: "leave",
    refused: outbound,
    kernel: kernel.open,
    sockets,
  });
  expect(found.left).toEqual([tuple(1)]);
  expect(kernel.asked).toEqual([]);
});

test("they are handed over as text, and invalid text is ignored", () => {
  const six = { ...tuple(3), source: parseHost("fd00::1"), destination: parseHost("fd00::2") };
  const all = [tuple(1), six];
  expect(unpackTuples(packTuples(all))).toEqual(all);
  expect(unpackTuples(["", "1 zz:1 0a000001:2", `${packTuples(all)[0]} more`])).toEqual([]);
  const many = Array.from({ length: 5000 }, () => six);
  expect(JSON.stringify(packTuples(many)).length).toBeLessThan(100_000);
});

test("a set element's key is the same from the kernel and from us", () => {
  expect(keyOf(tuple(0x1234))).toBe("0a000001123400000a00000200500000");
});
