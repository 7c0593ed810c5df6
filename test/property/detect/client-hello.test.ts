/** Whatever a peer sends first, detection never throws, and more bytes never change an answer. */
import { expect, test } from "bun:test";
import fc from "fast-check";

import { classify } from "../../../src/detect/client-hello.ts";
import { spokenHello } from "../../support/hello.ts";

const bytes = fc.uint8Array({ maxLength: 600 });
const record = fc.tuple(fc.constantFrom(20, 21, 22, 23), bytes).map(([type, body]) => {
  const head = [type, 3, 1, body.length >> 8, body.length & 0xff];
  return Uint8Array.of(...head, ...body);
});
const records = fc.array(record, { maxLength: 4 }).map((all) => new Uint8Array(Buffer.concat(all)));

test("any bytes are ours, other or incomplete, and an answer is final", () => {
  fc.assert(
    fc.property(fc.oneof(bytes, records), fc.nat(), (all, nat) => {
      const part = classify(all.subarray(0, nat % (all.length + 1)));
      if (part !== "incomplete") expect(classify(all)).toBe(part);
    }),
    { numRuns: 3000 },
  );
});

test("a ClientHello with any byte changed is judged without a throw", async () => {
  const hello = await spokenHello(["tproxy/1"]);
  fc.assert(
    fc.property(fc.nat(), fc.nat({ max: 255 }), (nat, value) => {
      expect(["ours", "other", "incomplete"]).toContain(
        classify(hello.with(nat % hello.length, value)),
      );
    }),
    { numRuns: 3000 },
  );
});
