import { expect, test } from "bun:test";

import { chartsOf } from "../../../scripts/bench/charts.ts";
import { report } from "../../../scripts/bench/report.ts";
import { run, systems } from "./run.ts";

const told = systems.map((system) => ({ ...system, about: "as it is", peer: false }));

test("throughput is shown as a share of that without a proxy", () => {
  const [throughput] = chartsOf(run, systems);
  expect(throughput).toMatchObject({
    labels: ["keep-alive requests, 32", "bulk a to b, 1"],
    series: [
      { label: "no proxy", data: [1, 1] },
      { label: "mTLS", data: [0.25, 0.25] },
    ],
  });
});

test("every measured quantity has a chart, and no other", () => {
  expect(chartsOf(run, systems).map(({ section, title }) => `${section}: ${title}`)).toEqual([
    "Throughput: as a part of that without a proxy",
    "Latency: keep-alive requests, 32",
    "CPU of the proxies: µs per request",
    "CPU of the proxies: s per GB",
    "CPU of the proxies: µs per handshake",
    "Memory: growth by idle connections, anonymous, of the proxies together",
    "Memory: growth by stalled streams, anonymous, of the proxies together",
    "Memory: in the course of the run, anonymous, of the proxies together",
  ]);
  expect(chartsOf({ ...run, rows: [] }, systems)).toEqual([]);
});

test("memory charts start at zero", () => {
  const growth = chartsOf(run, systems).find(({ title }) => title.startsWith("growth"));
  expect(growth?.labels).toEqual(["0", "1000"]);
  expect(growth?.series).toEqual([{ label: "mTLS", data: [0, 60_000 / 1024] }]);
});

test("a chart of stalled streams shows the MiB of all of them", () => {
  const stalled = chartsOf(run, systems).find(({ title }) => title.includes("stalled"));
  expect(stalled).toMatchObject({ labels: ["64"], series: [{ label: "mTLS", data: [96] }] });
});

test("the report loads nothing from a server", () => {
  const html = report(run, told, "0;\n//# sourceMappingURL=library.js.map");
  expect(html).not.toMatch(/(?:src|href)=|https?:|sourceMappingURL/);
  expect(html).toContain("default-src 'none'");
});

test("no text of a run can end an HTML element", () => {
  const machine = { ...run.machine, processor: "</pre></script><b>" };
  const html = report({ ...run, machine }, told, "0; // </script>");
  expect(html).not.toContain("</pre></script>");
  expect(html.match(/<\/script>/g)).toHaveLength(4);
});
