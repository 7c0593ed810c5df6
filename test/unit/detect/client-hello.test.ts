/** Detects our ClientHello among all possible first bytes. The samples come from real clients. */
import { beforeAll, describe, expect, test } from "bun:test";

import { classify } from "../../../src/detect/client-hello.ts";
import { recordsOf, spokenHello } from "../../support/hello.ts";

let ours: Uint8Array;
let foreign: Uint8Array;

beforeAll(async () => {
  ours = await spokenHello(["http/1.1", "tproxy/1"]);
  foreign = await spokenHello(["http/1.1", "tproxy/10"]);
});

test("a ClientHello that offers our protocol is ours, one that offers another is not", () => {
  expect(classify(ours)).toBe("ours");
  expect(classify(foreign)).toBe("other");
});

test("the bytes after it do not matter", () => {
  expect(classify(Uint8Array.of(...ours, 20, 3, 3, 0, 1, 1))).toBe("ours");
});

test("it is undecided before its last byte", () => {
  for (let length = 0; length < ours.length; length += 1)
    expect(classify(ours.subarray(0, length))).toBe("incomplete");
});

test.each([40, 50, 100, 300])(
  "it is detected in records of %i bytes, and incomplete in each prefix of them",
  (size) => {
    const cut = recordsOf(ours, size);
    expect(classify(cut)).toBe("ours");
    for (let length = 0; length < cut.length; length += 1)
      expect(classify(cut.subarray(0, length))).toBe("incomplete");
  },
);

describe("rejected at once", () => {
  test.each([
    ["HTTP", "GET / HTTP/1.1\r\n"],
    ["SSH", "SSH-2.0-OpenSSH_9.2\r\n"],
    ["an alert", "\u0015\u0003\u0001\u0000\u0002\u0002\u0028"],
    ["a record of SSL 2", "\u0080\u002E\u0001\u0003\u0001"],
    ["a record of another version", "\u0016\u0002"],
    ["an empty record", "\u0016\u0003\u0001\u0000\u0000"],
    ["a record that is too long", "\u0016\u0003\u0001\u0040\u0001"],
    ["another handshake message", "\u0016\u0003\u0001\u0000\u0004\u0002"],
    ["a message that is too long", "\u0016\u0003\u0001\u0000\u0004\u0001\u0000\u0040\u0001"],
    [
      "another record in the middle",
      "\u0016\u0003\u0001\u0000\u0002\u0001\u0000\u0017\u0003\u0003",
    ],
  ])("%s", (_, text) => {
    expect(classify(new Uint8Array(Buffer.from(text, "latin1")))).toBe("other");
  });
});

test("one cut into very many records is rejected, instead of being parsed again and again", () => {
  expect(classify(recordsOf(ours, 1))).toBe("other");
});
