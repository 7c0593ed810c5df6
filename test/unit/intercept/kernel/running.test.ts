/** Which process holds a port, from this machine's own sockets. */
import { expect, test } from "bun:test";

import {
  holderOf,
  isListening,
  listeningProcess,
} from "../../../../src/intercept/kernel/running.ts";
import { parseSocketAddress } from "../../../../src/net/address.ts";

const socket = { data() {} };

test.each([
  ["127.0.0.1", "127.0.0.1"],
  ["0.0.0.0", "127.0.0.1"],
  ["127.0.0.1", "0.0.0.0"],
  ["::1", "[::1]"],
  ["::", "127.0.0.1"],
  ["::1", "[::]"],
  ["::ffff:127.0.0.1", "127.0.0.1"],
])("a listener at %s blocks a second one at %s", (hostname, wanted) => {
  using listener = Bun.listen({ hostname, port: 0, socket });
  const holder = holderOf(parseSocketAddress(`${wanted}:${listener.port}`));
  expect(holder?.pid).toBe(process.pid);
});

test.each([
  ["127.0.0.1", "127.0.0.2"],
  ["127.0.0.1", "[::1]"],
  ["::1", "127.0.0.1"],
])("a listener at %s leaves %s free", (hostname, wanted) => {
  using listener = Bun.listen({ hostname, port: 0, socket });
  expect(holderOf(parseSocketAddress(`${wanted}:${listener.port}`))).toBeNull();
});

test("the process behind a port of 127.0.0.1 is found while it listens", () => {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket });
  const { port } = listener;
  expect(isListening(port)).toBe(true);
  expect(listeningProcess(port)?.pid).toBe(process.pid);
  listener.stop(true);
  expect(isListening(port)).toBe(false);
  expect(listeningProcess(port)).toBeNull();
});

test("a listener at another address than 127.0.0.1 is no proxy's", () => {
  using listener = Bun.listen({ hostname: "127.0.0.2", port: 0, socket });
  expect(isListening(listener.port)).toBe(false);
});
