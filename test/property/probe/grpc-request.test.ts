/** Any HTTP/2 is judged without an error, however it is split. */
import { expect, test } from "bun:test";
import fc from "fast-check";

import { ProxyError } from "../../../src/runtime/errors.ts";
import { GrpcJudge } from "../../../src/probe/grpc-request.ts";
import { HpackDecoder } from "../../../src/probe/hpack.ts";
import { decodeHuffman } from "../../../src/probe/huffman.ts";
import { check, frame, preface, settings } from "../../support/http2.ts";

/** Runs `act`; false if it throws the expected error. */
function returns(act: () => unknown): boolean {
  try {
    act();
    return true;
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    return false;
  }
}

test("arbitrary bytes are a header block, or HTTP2_INVALID", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(returns(() => new HpackDecoder(4096).decode(bytes))).toBeBoolean();
      expect(returns(() => decodeHuffman(bytes))).toBeBoolean();
    }),
    { numRuns: 2000 },
  );
});

const anyFrame = fc
  .tuple(fc.nat(12), fc.nat(255), fc.nat(4), fc.uint8Array({ maxLength: 40 }))
  .map(([type, flags, stream, payload]) => frame(type, flags, stream, payload));

test("any frames are judged, and what passes is a prefix of what arrived", () => {
  fc.assert(
    fc.property(fc.array(anyFrame, { maxLength: 12 }), (frames) => {
      const judge = new GrpcJudge([""]);
      const passed: Uint8Array[] = [];
      const all = [preface, settings, ...frames];
      for (const bytes of all) {
        const judgement = judge.push(bytes);
        if (judgement.kind === "refuse") break;
        passed.push(judgement.bytes);
      }
      const [came, went] = [Buffer.concat(all), Buffer.concat(passed)];
      expect(came.subarray(0, went.length).equals(went)).toBeTrue();
    }),
  );
});

test("a check passes byte for byte, however it is split", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 40 }), (sizes) => {
      const whole = check("shop");
      const judge = new GrpcJudge(["shop"]);
      const passed: Uint8Array[] = [];
      let complete = false;
      let at = 0;
      for (const size of [...sizes, whole.length]) {
        const chunk = whole.subarray(at, at + size);
        at += chunk.length;
        if (chunk.length === 0) break;
        const judgement = judge.push(chunk);
        if (judgement.kind === "pass") passed.push(judgement.bytes);
        complete = judgement.kind === "pass" && judgement.complete;
      }
      expect([complete, Buffer.concat(passed).equals(whole)]).toEqual([true, true]);
    }),
  );
});

test("a check with one changed byte is refused, incomplete, or the same call", () => {
  const whole = check("shop");
  const start = preface.length + settings.length;
  fc.assert(
    fc.property(
      fc.integer({ min: start, max: whole.length - 1 }),
      fc.integer({ min: 1, max: 255 }),
      (at, by) => {
        const changed = Buffer.from(whole);
        changed.writeUInt8((whole.at(at) ?? 0) ^ by, at);
        const judgement = new GrpcJudge(["shop"]).push(changed);
        if (judgement.kind === "refuse" || !judgement.complete) return;
        const text = Buffer.from(judgement.bytes).toString("latin1");
        for (const part of [
          "POST",
          "/grpc.health.v1.Health/Check",
          "application/grpc",
          "\u0004shop",
        ])
          expect(text).toContain(part);
      },
    ),
    { numRuns: 3000 },
  );
});
