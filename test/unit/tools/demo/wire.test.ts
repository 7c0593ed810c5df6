import { expect, test } from "bun:test";

import { walkRecords } from "../../../../src/tools/demo/tls-records.ts";
import { readWire } from "../../../../src/tools/demo/wire.ts";
import { flag, makeFrame } from "../../../support/frames.ts";

const a = [10, 77, 0, 1];
const b = [10, 77, 0, 2];
const c = [10, 77, 0, 3];

const opening = makeFrame({ source: a, destination: b, sequence: 0, flags: flag.syn });

test("a text split over two frames is found in the stream", () => {
  const frames = [
    opening,
    makeFrame({ source: a, destination: b, sequence: 1, payload: "GET /sec" }),
    makeFrame({ source: a, destination: b, sequence: 9, payload: "ret HTTP/1.1" }),
  ];
  const report = readWire(frames, ["10.77.0.1", "10.77.0.2"], ["/secret", "absent"]);
  expect(report.texts).toEqual(
    new Map([
      ["/secret", 1],
      ["absent", 0],
    ]),
  );
  expect(report).toMatchObject({ frames: 3, connections: 1, streams: 1, foreignBytes: 20 });
});

test("a text is found in a frame that does not belong to the stream", () => {
  const frames = [
    opening,
    makeFrame({ source: a, destination: b, sequence: 1, payload: "xxxxxxx" }),
    makeFrame({ source: a, destination: b, sequence: 1, payload: "/secret" }),
  ];
  const report = readWire(frames, ["10.77.0.1", "10.77.0.2"], ["/secret"]);
  expect(report.texts.get("/secret")).toBe(1);
});

test("other hosts' frames do not count", () => {
  const frames = [opening, makeFrame({ source: c, destination: b, payload: "/secret" })];
  expect(readWire(frames, ["10.77.0.1", "10.77.0.2"], ["/secret"]).texts.get("/secret")).toBe(0);
});

test("TLS records are counted across segments, and the server's chosen version is read", () => {
  const records = Buffer.concat([serverHello(0x0304), record(23, 100), record(23, 20)]);
  const frames = [
    makeFrame({ source: b, destination: a, sequence: 0, flags: flag.syn | flag.ack }),
    makeFrame({ source: b, destination: a, sequence: 1, payload: records.subarray(0, 70) }),
    makeFrame({ source: b, destination: a, sequence: 71, payload: records.subarray(70) }),
  ];
  expect(readWire(frames, ["10.77.0.1", "10.77.0.2"], [])).toMatchObject({
    connections: 0,
    tls13Handshakes: 1,
    applicationRecords: 2,
    foreignBytes: 0,
    missingBytes: 0,
  });
});

test("a ServerHello without supported_versions chose TLS 1.2 or older", () => {
  expect(walkRecords(serverHello(null)).versionChosen).toBe("1.2 or older");
});

test("a HelloRetryRequest does not choose a version yet", () => {
  const retry = Buffer.from(
    "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c",
    "hex",
  );
  expect(walkRecords(serverHello(0x0304, retry)).versionChosen).toBeNull();
  const both = Buffer.concat([serverHello(0x0304, retry), serverHello(0x0304)]);
  expect(walkRecords(both).versionChosen).toBe("1.3");
});

test("plain HTTP is foreign from its first byte", () => {
  expect(walkRecords(Buffer.from("GET / HTTP/1.1\r\n\r\n")).foreignBytes).toBe(18);
});

/** RFC 8446, 4.1.3, with a session id of 32 bytes as in middlebox compatibility mode. */
function serverHello(version: number | null, random = Buffer.alloc(32, 7)): Buffer {
  const extension = version === null ? [] : [0, 43, 0, 2, Math.trunc(version / 256), version % 256];
  const keyShare = [0, 51, 0, 4, 0, 29, 0, 0];
  const extensions = [...keyShare, ...extension];
  const body = Buffer.concat([
    Buffer.from([2, 0, 0, 0, 3, 3]),
    random,
    Buffer.from([32]),
    Buffer.alloc(32, 9),
    Buffer.from([0x13, 0x01, 0, 0, extensions.length, ...extensions]),
  ]);
  return Buffer.concat([Buffer.from([22, 3, 3, 0, body.length]), body]);
}

function record(kind: number, size: number): Buffer {
  return Buffer.concat([Buffer.from([kind, 3, 3, 0, size]), Buffer.alloc(size, 1)]);
}
