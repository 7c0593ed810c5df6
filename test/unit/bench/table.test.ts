import { expect, test } from "bun:test";

import { readSTime } from "../../../scripts/bench/loads.ts";
import { significant, table, warning } from "../../../scripts/bench/table.ts";
import { run, systems } from "./run.ts";

test("a case is a block, a system a line, and each column as wide as necessary", () => {
  expect(table(run, systems)).toBe(
    `keep-alive requests, 32: requests/s, latency in µs, CPU of the proxies in µs per request
               rate  to no proxy    ±  p50  p90    p99    ±   CPU     ±  pod b's  failed
  no proxy  100,000         1.00  2 %  200  300  1,400  0 %     –     –        –       0
  mTLS       25,000         0.25  0 %  990  995  1,000  0 %  40.0  25 %     15.0       1

bulk a to b, 1: Gbit/s, CPU of the proxies in s per GB
            rate  to no proxy    ±  p50  p90  p99  ±   CPU    ±  pod b's  failed
  no proxy  16.0         1.00  0 %    –    –    –  –     –    –        –       0
  mTLS      4.00         0.25  0 %    –    –    –  –  2.00  0 %     1.00       0

idle connections, 1000: anonymous memory of the proxies together
        KiB per connection    ±  of one proxy  MiB at rest, each  failed
  mTLS                60.0  0 %          40.0               30.0       0

stalled streams, 64: anonymous memory of the proxies together
        KiB per connection    ±  of one proxy  MiB at rest, each  failed
  mTLS              1536.0  0 %        1000.0               30.0       0

full handshakes: CPU in µs per handshake, with a request and its answer
        per second and core of pod b's proxy    ±  CPU of it  failed
  mTLS                                 1,000  0 %      1,000       0
`,
  );
});

test("other processes' use is shown once it matters", () => {
  expect(warning(run)).toBeNull();
  const others = { cores: 0.5, who: ["tsc (7) 12 s"] };
  expect(warning({ ...run, others })).toBe(
    "WARNING: other processes used 0.50 cores during the run: tsc (7) 12 s",
  );
});

test.each([
  [0.123, "0.12"],
  [12.34, "12.3"],
  [123.4, "123"],
  [1_234_567, "1,234,567"],
])("%p is written %p", (value, text) => {
  expect(significant(value)).toBe(text);
});

test("s_time's connections are counted by their nominal number", () => {
  const text = "starting\nrrr*r\n\n5 connections in 0.46s;\n";
  expect(readSTime(text, true)).toEqual({ done: 5, failed: 1 });
  expect(readSTime(text, false)).toEqual({ done: 5, failed: 4 });
  expect(readSTime("starting\n", true)).toEqual({ done: 0, failed: 0 });
});
