/** The log lines about preexisting connections, and how long they are counted. */
import { expect, test } from "bun:test";

import type { Tuple } from "../../../../src/intercept/kernel/proc-tcp.ts";
import { nonePreexisting } from "../../../../src/intercept/cleartext/preexisting.ts";
import {
  listed,
  PreexistingWatch,
  reportPreexisting,
} from "../../../../src/intercept/cleartext/report.ts";
import { parseHost } from "../../../../src/net/address.ts";
import { FakeKernel } from "../../../support/fake-kernel.ts";

function tuple(sourcePort: number): Tuple {
  const [source, destination] = [parseHost("10.0.0.1"), parseHost("fd00::2").slice(0, 4)];
  return {
    inode: "7",
    uid: 0,
    isOpening: false,
    source,
    sourcePort,
    destination,
    destinationPort: 80,
  };
}

test("a line names the first of many, from client to server", () => {
  const many = Array.from({ length: 100 }, (_, at) => tuple(at + 1));
  const inbound = listed(many, () => "inbound");
  expect(inbound).toStartWith("253.0.0.0:80 > 10.0.0.1:1, ");
  expect(inbound).toEndWith(" and 92 more");
  expect(listed(many.slice(0, 1), () => "outbound")).toBe("10.0.0.1:1 > 253.0.0.0:80");
});

test("without any there is no line", () => {
  const said: string[] = [];
  reportPreexisting(
    nonePreexisting,
    () => null,
    (text) => said.push(text),
  );
  expect(said).toEqual([]);
});

test("a kernel that cannot reset is named with its configuration option", () => {
  const said: string[] = [];
  const blocked = [tuple(1)];
  reportPreexisting(
    { ...nonePreexisting, blocked, refusal: "EOPNOTSUPP" },
    () => "inbound",
    (text) => said.push(text),
  );
  expect(said.join("\n")).toMatch(
    /^1 connection from before.*EOPNOTSUPP; CONFIG_INET_DIAG_DESTROY/,
  );
});

test("the kernel is asked for a few at a time, and not at every request", () => {
  const many = Array.from({ length: 1000 }, (_, at) => tuple(at + 1));
  const kernel = new FakeKernel(({ about }) => (about.startsWith("look") ? 2 : 0));
  let now = 0;
  let asked = 0;
  const counting = (...of: Parameters<typeof kernel.open>): ReturnType<typeof kernel.open> => {
    asked += 1;
    return kernel.open(...of);
  };
  const watch = new PreexistingWatch(many, counting, () => now);
  expect(watch.count).toBe(488);
  const before = asked;
  expect(watch.count).toBe(488);
  expect(asked).toBe(before);
  now += 5000;
  expect([watch.count, watch.note]).toEqual([0, null]);
});

test("if the kernel does not answer, the count stays", () => {
  const { open } = new FakeKernel(() => 1);
  expect(new PreexistingWatch([tuple(1)], open).count).toBe(1);
});
