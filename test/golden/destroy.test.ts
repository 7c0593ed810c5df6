/**
 * The destruction of a connection, compared with ss(8)'s own request, except for what only ss knows of the socket.
 */
import { expect, test } from "bun:test";

import { parseHost } from "../../src/net/address.ts";
import { destroySocket } from "../../src/netlink/diag.ts";
import { sockets } from "../support/commands.ts";
import { expectSameMessages, linesBelow } from "../support/golden.ts";
import { bytesOfLine, bytesOfRequest, lineOf, type Bytes } from "../support/message-lines.ts";

const golden = await Bun.file(`${import.meta.dir}/destroy.hex`).text();

test.each(sockets)("ss %s", (command, request) => {
  const ours = bytesOfRequest(request);
  const theirs = linesBelow(golden, `ss ${command}`).map(bytesOfLine);
  expect(ours.body.subarray(...states).toHex()).toBe("ffffffff");
  // ss names the socket by its cookie; INET_DIAG_NOCOOKIE means any: linux/inet_diag.h.
  expect(ours.body.subarray(...cookie).toHex()).toBe("ffffffffffffffff");
  expectSameMessages([withoutKnown(ours)], theirs.map(withoutKnown).map(lineOf));
});

test("each end is in its place", () => {
  const request = destroySocket({
    source: parseHost("192.0.2.1"),
    sourcePort: 0x1234,
    destination: parseHost("192.0.2.99"),
    destinationPort: 0x5678,
  });
  const { body } = bytesOfRequest(request);
  expect(body.subarray(8, 16).toHex()).toBe("12345678c0000201");
  expect(body.subarray(28, 32).toHex()).toBe("c0000263");
  expect(body.length).toBe(56);
});

test.each(sockets)("the request asks for an acknowledgement, like that of ss %s", (_, request) => {
  expect(request.flags).toBe(0x0005);
});

function withoutKnown({ type, body }: Bytes): Bytes {
  const copy = body.slice();
  copy.fill(0, ...states).fill(0, ...cookie);
  return { type, body: copy };
}

/** Their places in struct inet_diag_req_v2: the states, which the kernel ignores here, and the cookie. */
const states = [4, 8] as const;
const cookie = [48, 56] as const;
