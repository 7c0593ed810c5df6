/** Opens the benchmark's report in a browser: every chart is drawn, and no server is contacted. */
import { writeFileSync } from "node:fs";

import { expect, test } from "bun:test";

import { chartLibrary } from "../../scripts/bench/chart-library.ts";
import { chartsOf } from "../../scripts/bench/charts.ts";
import { report } from "../../scripts/bench/report.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { run, systems } from "../unit/bench/run.ts";

type Seen = {
  readonly errors: readonly string[];
  readonly asked: number;
  /** The number of pixels drawn, for each canvas. */
  readonly drawn: readonly number[];
};

/**
 * The browser runs as root, in containers and without a display: no sandbox, no GPU, and no shared memory beyond what
 * exists.
 */
const options = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-background-networking",
  "--disable-extensions",
  "--no-first-run",
];
/**
 * A run takes a second, but the machine may be busy. A test's own deadline is a little longer, so this one expires
 * first.
 */
const browserSecondsMax = 110;

test("all charts are drawn", async () => {
  const told = systems.map((system) => ({ ...system, about: "as it is", peer: false }));
  const seen = await open(report(run, told, chartLibrary()));
  expect(seen).toMatchObject({ errors: [], asked: 0 });
  expect(seen.drawn).toHaveLength(chartsOf(run, systems).length);
  expect(Math.min(...seen.drawn)).toBeGreaterThan(1000);
});

test("a page whose script fails is reported", async () => {
  expect((await open("<body><script>nothing.at.all</script></body>")).errors).toHaveLength(1);
});

async function open(html: string): Promise<Seen> {
  const directory = temporaryDirectory();
  const probed = html.replace(/<body>/, `$&${listener}`).replace("</body>", `${probe}$&`);
  writeFileSync(`${directory}/page.html`, probed);
  const profile = `--user-data-dir=${directory}/profile`;
  const command = [browser(), ...options, profile, "--dump-dom", `file://${directory}/page.html`];
  // timeout(1) ends its children too, and reports the time-out by its exit code.
  const child = Bun.spawn(["timeout", "--kill-after", "5", String(browserSecondsMax), ...command], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, HOME: directory, DBUS_SESSION_BUS_ADDRESS: "disabled:" },
  });
  const [code, dom, error] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  const text = /<output hidden="">(.*?)<\/output>/.exec(dom)?.[1];
  if (text === undefined)
    throw new Error(`the browser ended with ${code} and showed no page:\n${error}`);
  return JSON.parse(text) as Seen;
}

/** Debian's Chromium, or another one that takes the same options. */
function browser(): string {
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const found = names.map((name) => Bun.which(name)).find((path) => path !== null);
  if (found === undefined)
    throw new Error("no browser for the report: apt-get install chromium (scripts/test.sh does)");
  return found;
}

const listener = `<script>
const errors = [];
addEventListener("error", ({ message }) => errors.push(message));
addEventListener("securitypolicyviolation", ({ blockedURI }) => errors.push("blocked: " + blockedURI));
</script>`;

const probe = `<output hidden></output><script>
addEventListener("load", () => {
  const drawn = [...document.querySelectorAll("canvas")].map((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.filter((value, index) => index % 4 === 3 && value > 0).length;
  });
  const asked = performance.getEntriesByType("resource").length;
  document.querySelector("output").textContent = JSON.stringify({ errors, asked, drawn });
});
</script>`;
