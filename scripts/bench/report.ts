/** A run as one self-contained HTML file: charts, the table, and all measurements. Pure. */
import { chartsOf, type Chart } from "./charts.ts";
import { describeMachine, roundsText } from "./describe.ts";
import type { Run } from "./results.ts";
import { table, warning } from "./table.ts";
import { outcomesOf, type Compared } from "./targets.ts";
import { targetsText } from "./targets-text.ts";

export type Told = Compared & { readonly about: string };

/** `library` is Chart.js as a script. */
export function report(run: Run, systems: readonly Told[], library: string): string {
  const charts = chartsOf(run, systems);
  const sections = [...new Set(charts.map(({ section }) => section))];
  const disturbed = warning(run);
  const taking = systems.filter(({ name }) => run.rows.some(({ system }) => system === name));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'">
<title>tproxy: how fast, at what cost</title>
<style>${style}</style>
</head>
<body>
<h1>How fast, at what cost</h1>
<p>${escaped(run.date)}, ${roundsText(run)}</p>
<pre>${escaped(describeMachine(run.machine))}</pre>
${disturbed === null ? "" : `<p class="warning">${escaped(disturbed)}</p>`}
<dl>${taking.map(({ title, about }) => `<dt>${escaped(title)}</dt><dd>${escaped(about)}</dd>`).join("\n")}</dl>
${sections.map((section) => sectionHtml(section, charts)).join("\n")}
<h2>All of it</h2>
<pre>${escaped(`${table(run, systems)}\n${targetsText(outcomesOf(run, systems))}`)}</pre>
<script type="application/json" id="run">${embedded(run)}</script>
<script type="application/json" id="charts">${embedded(charts)}</script>
<script>${library.replace(/^\/\/# sourceMappingURL=.*$/m, "").replaceAll("</script", "<\\/script")}</script>
<script>${drawing}</script>
</body>
</html>
`;
}

function sectionHtml(section: string, charts: readonly Chart[]): string {
  const figures = charts.flatMap((chart, index) =>
    chart.section === section ? [figureHtml(chart, index)] : [],
  );
  return `<h2>${escaped(section)}</h2>\n<div class="charts">${figures.join("\n")}</div>`;
}

function figureHtml({ title, labels, unit }: Chart, index: number): string {
  const kind = labels.length > wideFrom ? ' class="wide"' : "";
  const caption = title === unit ? title : `${title}, ${unit}`;
  return `<figure${kind}><figcaption>${escaped(caption)}</figcaption><div><canvas id="chart${index}" role="img" aria-label="${escaped(caption)}"></canvas></div></figure>`;
}

function escaped(text: string): string {
  return Bun.escapeHTML(text);
}

/** JSON in a script element would end at the first text that looks like the end tag. */
function embedded(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}

/** The number of labels from which a chart needs the whole page width. */
const wideFrom = 6;

const style = `
body { font: 15px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: #222; }
pre { overflow-x: auto; font-size: 12px; }
dt { font-weight: 600; float: left; clear: left; width: 8rem; }
dd { margin-left: 8.5rem; }
figure { margin: 0; }
figure div { position: relative; height: 18rem; }
.charts { display: grid; grid-template-columns: 1fr 1fr; gap: 1.5rem; }
.wide { grid-column: 1 / -1; }
.warning { background: #fdd; padding: .5rem 1rem; }
`;

/** Plain JavaScript for the browser. Without animation a chart is complete when its constructor returns. */
const drawing = `
const colours = ["#888888", "#9bbfd9", "#4a90c4", "#124e78", "#d1495b", "#3f9b5f", "#c98a1b"];
const charts = JSON.parse(document.getElementById("charts").textContent);
const names = [...new Set(charts.flatMap(({ series }) => series.map(({ label }) => label)))];
const colour = (label) => colours[names.indexOf(label) % colours.length];
charts.forEach(({ type, scale, unit, labels, series }, index) => {
  new Chart(document.getElementById("chart" + index), {
    type,
    data: {
      labels,
      datasets: series.map(({ label, data }) => ({
        label, data, spanGaps: true, backgroundColor: colour(label), borderColor: colour(label),
      })),
    },
    options: {
      animation: false,
      maintainAspectRatio: false,
      scales: { y: { type: scale, title: { display: true, text: unit } } },
    },
  });
});
`;
