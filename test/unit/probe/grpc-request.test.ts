/** Which HTTP/2 connections are a declared health check. */
import { expect, test } from "bun:test";

import { GrpcJudge } from "../../../src/probe/grpc-request.ts";
import {
  block,
  check,
  checkFields,
  data,
  frame,
  headers,
  preface,
  settings,
  settingsAck,
} from "../../support/http2.ts";
import { healthRequest } from "../../support/kubelet.ts";

const services = ["", "shop"];

/** What passes, or the reason for the refusal. */
function judged(...chunks: readonly Uint8Array[]): string {
  const judge = new GrpcJudge(services);
  const passed: Uint8Array[] = [];
  let isComplete = false;
  for (const chunk of chunks) {
    const judgement = judge.push(chunk);
    if (judgement.kind === "refuse") return judgement.reason;
    passed.push(judgement.bytes);
    isComplete = judgement.complete;
  }
  const all = Buffer.concat(passed).equals(Buffer.concat(chunks));
  return `${isComplete ? "whole" : "begun"}${all ? "" : ", held"}`;
}

const opening = Buffer.concat([preface, settings]);
const none = Buffer.alloc(0);
const empty = healthRequest("");

test.each([
  ["of the server", [check()]],
  ["of a service", [check("shop")]],
  [
    "as it comes from the wire: settings first, and then, after the server's own",
    [opening, settingsAck, Buffer.concat([headers(), data()])],
  ],
  [
    "in data of several frames",
    [
      opening,
      headers(),
      frame(0, 0, 1, empty.subarray(0, 2)),
      frame(0, 0, 1, empty.subarray(2)),
      frame(0, 1, 1, none),
    ],
  ],
  [
    "with padding and priority",
    [
      opening,
      frame(
        1,
        0x2c,
        3,
        Buffer.concat([Buffer.of(2, 0, 0, 0, 0, 9), block(checkFields), Buffer.of(0, 0)]),
      ),
      frame(0, 0x9, 3, Buffer.concat([Buffer.of(3), empty, Buffer.alloc(3)])),
    ],
  ],
  [
    "with all that belongs to a connection, before and after",
    [
      opening,
      frame(8, 0, 0, Buffer.alloc(4)),
      frame(6, 0, 0, Buffer.alloc(8)),
      frame(2, 0, 5, Buffer.alloc(5)),
      headers(),
      frame(8, 0, 1, Buffer.alloc(4)),
      data(),
      frame(6, 1, 0, Buffer.alloc(8)),
      frame(3, 0, 1, Buffer.alloc(4)),
      frame(7, 0, 0, Buffer.alloc(8)),
    ],
  ],
  [
    "with a field of another kind of gRPC",
    [
      opening,
      headers({ ...checkFields, "content-type": "application/grpc+proto", "grpc-timeout": "1S" }),
      data(),
    ],
  ],
])("a check %s", (_, chunks) => {
  expect(judged(...chunks)).toBe("whole");
});

test.each([
  [[preface.subarray(0, 5)], "begun, held"],
  [[preface], "begun, held"],
  [[opening], "begun"],
  [[opening, headers()], "begun, held"],
  [[opening, headers(), data().subarray(0, 11)], "begun, held"],
])("nothing of an incomplete request passes: %#", (chunks, state) => {
  expect(judged(...chunks)).toBe(state);
});

const other = (fields: Record<string, string>): Buffer[] => [
  opening,
  headers({ ...checkFields, ...fields }),
];
const without = (name: string): Buffer[] => [
  opening,
  headers(Object.fromEntries(Object.entries(checkFields).filter(([one]) => one !== name))),
];

test.each([
  ["another preface", [Buffer.from("PRI * HTTP/2.1\r\n\r\n")], "malformed"],
  ["HTTP/1", [Buffer.from("GET / HTTP/1.1\r\n\r\n")], "malformed"],
  ["headers before settings", [preface, headers()], "malformed"],
  ["an acknowledgement first", [preface, settingsAck], "malformed"],
  ["settings of a stream", [preface, frame(4, 0, 1, none)], "malformed"],
  ["truncated settings", [preface, frame(4, 0, 0, Buffer.alloc(5))], "malformed"],
  ["an acknowledgement with settings", [opening, frame(4, 1, 0, Buffer.alloc(6))], "malformed"],
  ["another path", other({ ":path": "/shop.v1.Cart/Empty" }), "path"],
  ["Watch", other({ ":path": "/grpc.health.v1.Health/Watch" }), "path"],
  ["a query", other({ ":path": "/grpc.health.v1.Health/Check?x" }), "path"],
  ["another method", other({ ":method": "GET" }), "method"],
  ["CONNECT", other({ ":method": "CONNECT" }), "method"],
  ["https", other({ ":scheme": "https" }), "malformed"],
  ["no path", without(":path"), "path"],
  ["no method", without(":method"), "method"],
  ["no type", without("content-type"), "malformed"],
  ["another type", other({ "content-type": "application/json" }), "malformed"],
  ["a longer type", other({ "content-type": "application/grpcx" }), "malformed"],
  ["a pseudo-header of another kind", other({ ":protocol": "websocket" }), "malformed"],
  ["Host", other({ host: "a" }), "malformed"],
  ["Content-Length", other({ "content-length": "5" }), "malformed"],
  ["Transfer-Encoding", other({ "transfer-encoding": "chunked" }), "malformed"],
  ["TE", other({ te: "trailers, gzip" }), "malformed"],
  ["upper case", other({ "X-Key": "a" }), "malformed"],
  ["an end of line in a value", other({ key: "a\r\nb: c" }), "malformed"],
  ["a NUL in a value", other({ key: "a\0" }), "malformed"],
  ["a method override", other({ "x-http-method-override": "GET" }), "malformed"],
  ["a method override that CGI reads", other({ x_http_method_override: "GET" }), "malformed"],
  ["another path", other({ "x-original_uri": "/" }), "malformed"],
  ["a length that CGI reads", other({ content_length: "5" }), "malformed"],
  ["a coding that CGI reads", other({ transfer_encoding: "chunked" }), "malformed"],
  ["a line's end to some", other({ x: "a\u0085b" }), "malformed"],
  ["an authority with a path", other({ ":authority": "a/secret?" }), "malformed"],
  [
    "a path twice",
    [opening, frame(1, 4, 1, Buffer.concat([block(checkFields), block({ ":path": "/x" })]))],
    "malformed",
  ],
  [
    "a pseudo-header late",
    [opening, frame(1, 4, 1, Buffer.concat([block({ te: "trailers" }), block(checkFields)]))],
    "malformed",
  ],
  [
    "two types",
    [
      opening,
      frame(
        1,
        4,
        1,
        Buffer.concat([block(checkFields), block({ "content-type": "application/grpc" })]),
      ),
    ],
    "malformed",
  ],
  ["headers in two frames", [opening, frame(1, 0, 1, block(checkFields))], "malformed"],
  ["headers without a body", [opening, frame(1, 5, 1, block(checkFields))], "malformed"],
  ["headers of an even stream", [opening, headers(checkFields, 2)], "malformed"],
  ["headers of no stream", [opening, headers(checkFields, 0)], "malformed"],
  ["headers of a stream too high", [opening, headers(checkFields, 0x80_00_00_01)], "malformed"],
  ["padding longer than its frame", [opening, frame(1, 0xc, 1, Buffer.of(200, 0))], "malformed"],
  ["an invalid header block", [opening, frame(1, 4, 1, Buffer.of(0x80))], "malformed"],
  ["data before headers", [opening, data()], "more"],
  ["data of another stream", [opening, headers(), data("", 3)], "more"],
  ["another service", [opening, headers(), data("cart")], "service"],
  [
    "a compressed message",
    [opening, headers(), frame(0, 1, 1, Buffer.of(1, 0, 0, 0, 0))],
    "service",
  ],
  ["two messages", [opening, headers(), frame(0, 1, 1, Buffer.concat([empty, empty]))], "service"],
  ["no message", [opening, headers(), frame(0, 1, 1, none)], "service"],
  ["a second call", [check(), headers(checkFields, 3)], "more"],
  [
    "a second call before the first is complete",
    [opening, headers(), headers(checkFields, 3)],
    "more",
  ],
  ["trailers", [opening, headers(), frame(1, 5, 1, block({ key: "a" }))], "more"],
  ["data after the end", [check(), data()], "more"],
  ["a continuation", [opening, frame(9, 4, 1, none)], "malformed"],
  ["a promise", [opening, frame(5, 4, 1, Buffer.alloc(4))], "malformed"],
  ["a frame of unknown type", [opening, frame(0x42, 0, 0, none)], "malformed"],
  ["a reset of another stream", [opening, headers(), frame(3, 0, 3, Buffer.alloc(4))], "malformed"],
  ["a truncated ping", [opening, frame(6, 0, 0, Buffer.alloc(7))], "malformed"],
  [
    "endless pings",
    Array.from({ length: 2000 }, (_, at) => (at === 0 ? opening : frame(6, 0, 0, Buffer.alloc(8)))),
    "too-long",
  ],
  [
    "endless data",
    [opening, headers(), ...Array.from({ length: 20 }, () => frame(0, 0, 1, Buffer.alloc(1000)))],
    "too-long",
  ],
  [
    "a frame of 16 MB",
    [opening, frame(0, 0, 1, none).fill(0xff, 0, 3), Buffer.alloc(20_000)],
    "too-long",
  ],
] as const)("refused: %s", (_, chunks, reason) => {
  expect(judged(...chunks)).toBe(reason);
});

test("the log quotes the client's service name, shortened", () => {
  const judge = new GrpcJudge([""]);
  expect(judge.push(check(`"${"x".repeat(100)}`))).toMatchObject({
    detail: expect.stringMatching(/^the service "\\"x{58,59}…" is not declared: --probe/),
  });
});

test("a service name of 200 letters can be declared", () => {
  const name = "s".repeat(200);
  const message = Buffer.concat([Buffer.of(0, 0, 0, 0, 203, 0x0a, 0xc8, 0x01), Buffer.from(name)]);
  const judge = new GrpcJudge([name]);
  const whole = Buffer.concat([opening, headers(), frame(0, 1, 1, message)]);
  expect(judge.push(whole)).toMatchObject({ kind: "pass", complete: true });
});
