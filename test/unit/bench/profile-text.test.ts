import { expect, test } from "bun:test";

import {
  type CpuProfile,
  functionsOf,
  list,
  namedOf,
  partsOf,
  systemCallsOf,
} from "../../../scripts/bench/profile-text.ts";

test("functions are listed by their own samples, largest first, with file and line", () => {
  const nodes = [
    frame(1, "(root)", "", -1),
    frame(2, "flush", "file:///x/src/relay/leg.ts", 41),
    frame(3, "write", "", -1),
    frame(4, "", "file:///x/src/proxy.ts", 0),
  ];
  expect(functionsOf({ nodes, samples: [3, 2, 3, 4] })).toEqual({
    samples: 4,
    functions: [
      { what: "write, Bun's own", percent: 50 },
      { what: "flush, src/relay/leg.ts:42", percent: 25 },
      { what: "(anonymous), src/proxy.ts:1", percent: 25 },
    ],
  });
});

test("perf's sample lines are read, its comments are ignored", () => {
  const report = `# Samples: 1K of event 'cpu-clock'
#
# Children|    Self|Symbol                   |IPC   [IPC Coverage]
 54.73% | 0.10%  |[k] __x64_sys_sendto     |-      -
 6.70%  | 0.30%  |[k] __x64_sys_recvfrom   |-      -
 0.91%  | 0.91%  |[.] 0x0000000000418a     |-      -
`;
  const parts = partsOf(report);
  expect(parts.map(({ percent }) => percent)).toEqual([54.73, 6.7, 0.91]);
  expect(namedOf(parts).map(({ what }) => what)).toEqual([
    "[k] __x64_sys_sendto",
    "[k] __x64_sys_recvfrom",
  ]);
  expect(systemCallsOf(parts)).toEqual([
    { what: "sendto", percent: 54.73 },
    { what: "recvfrom", percent: 6.7 },
  ]);
});

test("a list ends at the entries too small for a line", () => {
  const parts = [60, 30, 9.96, 0.04].map((percent, index) => ({ what: `f${index}`, percent }));
  expect(list("Title", parts, 2)).toBe("Title\n   60.0 %  f0\n   30.0 %  f1");
  expect(list("Title", parts, 9)).toBe("Title\n   60.0 %  f0\n   30.0 %  f1\n   10.0 %  f2");
});

function frame(
  id: number,
  functionName: string,
  url: string,
  lineNumber: number,
): CpuProfile["nodes"][number] {
  return { id, callFrame: { functionName, url, lineNumber } };
}
