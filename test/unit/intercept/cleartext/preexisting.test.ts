/** What is in cleartext from before the start, and a kernel that does not reset it. */
import { expect, test } from "bun:test";

import { externalRules } from "../../../../src/intercept/kernel/external.ts";
import type { Installed } from "../../../../src/intercept/kernel/install.ts";
import { elementOf, keyOf, type Tuple } from "../../../../src/intercept/kernel/open-before.ts";
import {
  packTuples,
  settlePreexisting,
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

test("what was exempt and would be refused is reset, and nothing else", () => {
  const [exempt, other] = [tuple(1), tuple(2)];
  const { installed, forgotten } = new Rules([exempt]);
  const kernel = new FakeKernel(() => 0);
  const found = settlePreexisting(installed, {
    mode: "reset",
    refused: outbound,
    kernel: kernel.open,
    sockets: () => [exempt, other],
  });
  expect(found.reset).toEqual([exempt]);
  expect(forgotten).toEqual([]);
  expect(kernel.asked).toEqual(["list links", "destroy the socket of port 1"]);
});

test("what the kernel does not reset is exempt no longer", () => {
  const exempt = tuple(1);
  const { installed, forgotten } = new Rules([exempt]);
  const { open } = new FakeKernel(({ about }) => (about.startsWith("destroy") ? errno.notsupp : 0));
  const found = settlePreexisting(installed, {
    mode: "reset",
    refused: outbound,
    kernel: open,
    sockets: () => [exempt],
  });
  expect([found.reset, found.blocked]).toEqual([[], [exempt]]);
  expect(found.refusal).toContain("EOPNOTSUPP");
  expect(forgotten).toEqual([exempt]);
});

test("one that has gone by itself is none", () => {
  const exempt = tuple(1);
  const { installed, forgotten } = new Rules([exempt]);
  const { open } = new FakeKernel(({ about }) => (about.startsWith("destroy") ? errno.noent : 0));
  const sockets = (): readonly Tuple[] => [exempt];
  const found = settlePreexisting(installed, {
    mode: "reset",
    refused: outbound,
    kernel: open,
    sockets,
  });
  expect([found.left, found.reset, found.blocked, forgotten]).toEqual([[], [], [], []]);
});

test("under rules of others all that would be refused is named, and nothing is asked of the kernel", () => {
  const { installed } = new Rules([], false);
  const kernel = new FakeKernel(() => 0);
  const sockets = (): readonly Tuple[] => [tuple(1), tuple(2, "0")];
  const found = settlePreexisting(installed, {
    mode: "leave",
    refused: outbound,
    kernel: kernel.open,
    sockets,
  });
  expect(found.left).toEqual([tuple(1)]);
  expect(kernel.asked).toEqual([]);
});

test("they are handed over as text, and text that is none is left out", () => {
  const six = { ...tuple(3), source: parseHost("fd00::1"), destination: parseHost("fd00::2") };
  const all = [tuple(1), six];
  expect(unpackTuples(packTuples(all))).toEqual(all);
  expect(unpackTuples(["", "1 zz:1 0a000001:2", `${packTuples(all)[0]} more`])).toEqual([]);
  const many = Array.from({ length: 5000 }, () => six);
  expect(JSON.stringify(packTuples(many)).length).toBeLessThan(100_000);
});

test("the key of a set's element is the same from the kernel and from us", () => {
  expect(keyOf(tuple(0x1234))).toBe("0a000001123400000a00000200500000");
});
