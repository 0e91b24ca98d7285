// A self-contained HTML page about a run: its numbers, its texts, and the loss as a plot that can be zoomed and read
// point by point. uPlot and its style are inlined, so the file opens anywhere, without a network.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { StepMetrics } from '@qlora/trainer';

/** A part of a report. */
export type ReportSection =
  | { readonly kind: 'table'; readonly title: string; readonly rows: readonly (readonly [string, string])[] }
  | {
      readonly kind: 'texts';
      readonly title: string;
      readonly texts: readonly { readonly label: string; readonly text: string }[];
    };

/** What a report says. */
export interface Report {
  readonly title: string;
  readonly subtitle: string;
  readonly steps: readonly StepMetrics[];
  readonly sections: readonly ReportSection[];
}

const escapeHtml = (text: string) =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] ?? c);

/** The page as text. */
export async function renderReport(report: Report): Promise<string> {
  const require = createRequire(import.meta.url);
  const script = await readFile(require.resolve('uplot/dist/uPlot.iife.min.js'), 'utf8');
  const style = await readFile(require.resolve('uplot/dist/uPlot.min.css'), 'utf8');
  const data = {
    steps: report.steps.map(({ step }) => step),
    loss: report.steps.map(({ loss }) => loss),
    smooth: smooth(report.steps.map(({ loss }) => loss)),
    rate: report.steps.map(({ learningRate }) => learningRate),
    norm: report.steps.map(({ gradientNorm }) => gradientNorm),
  };
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(report.title)}</title>
<style>${style}${PAGE_STYLE}</style>
<main>
<h1>${escapeHtml(report.title)}</h1>
<p class="subtitle">${escapeHtml(report.subtitle)}</p>
${report.sections.map(renderSection).join('\n')}
<section><h2>Loss</h2><p class="note">Mean cross entropy of each step's tokens, in nats. Drag to zoom, double-click to see all.</p><div id="loss"></div></section>
<section><h2>Learning rate and gradient norm</h2><div id="rate"></div></section>
</main>
<script>${script}</script>
<script>const data = ${JSON.stringify(data)};
${PAGE_SCRIPT}</script>
</html>
`;
}

function renderSection(section: ReportSection): string {
  const title = `<h2>${escapeHtml(section.title)}</h2>`;
  if (section.kind === 'table') {
    const rows = section.rows.map(
      ([name, value]) => `<tr><th>${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`,
    );
    return `<section>${title}<table>${rows.join('')}</table></section>`;
  }
  const texts = section.texts.map(
    ({ label, text }) =>
      `<figure><figcaption>${escapeHtml(label)}</figcaption><blockquote>${escapeHtml(text)}</blockquote></figure>`,
  );
  return `<section>${title}<div class="texts">${texts.join('')}</div></section>`;
}

/** Exponential moving average, corrected for its start. */
function smooth(values: readonly number[], weight = 0.9): number[] {
  let sum = 0;
  let total = 0;
  return values.map((value) => {
    sum = weight * sum + (1 - weight) * value;
    total = weight * total + (1 - weight);
    return sum / total;
  });
}

const PAGE_STYLE = `
:root { color-scheme: light dark; --ink: light-dark(#1c1d21, #e8e8ea); --paper: light-dark(#fdfdfc, #17181b); --faint: light-dark(#6b6e76, #9a9da6); --line: light-dark(#e3e3e0, #303238); --accent: light-dark(#2458c5, #86a8ff); }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
.subtitle, .note { color: var(--faint); margin: .3rem 0 0; }
table { border-collapse: collapse; } th { text-align: left; font-weight: normal; color: var(--faint); padding: .25rem 2rem .25rem 0; } td { padding: .25rem 0; font-variant-numeric: tabular-nums; }
.texts { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 1rem; }
figure { margin: 0; border: 1px solid var(--line); border-radius: .5rem; padding: .8rem 1rem; } figcaption { color: var(--faint); font-size: .85rem; } blockquote { margin: .4rem 0 0; }
.u-legend { color: var(--ink); font-size: .85rem; }`;

const PAGE_SCRIPT = `
const probe = document.body.appendChild(document.createElement('i'));
const resolved = (name) => { probe.style.color = 'var(' + name + ')'; return getComputedStyle(probe).color; };
const axis = () => ({ stroke: resolved('--faint'), grid: { stroke: resolved('--line') }, ticks: { stroke: resolved('--line') } });
const digits = (n) => (_, v) => (v == null ? '' : v.toPrecision(n));
const charts = [];
function draw() {
  for (const chart of charts.splice(0)) chart.destroy();
  const width = document.querySelector('main').clientWidth - 40;
  charts.push(new uPlot({ width, height: 320, scales: { x: { time: false } }, axes: [axis(), axis()],
    series: [{ label: 'step' }, { label: 'loss', stroke: resolved('--faint'), width: 0.7, points: { show: false }, value: digits(4) }, { label: 'smoothed', stroke: resolved('--accent'), width: 2, points: { show: false }, value: digits(4) }] },
    [data.steps, data.loss, data.smooth], document.getElementById('loss')));
  charts.push(new uPlot({ width, height: 200, scales: { x: { time: false }, norm: {} },
    axes: [axis(), { ...axis(), size: 70, values: (_, values) => values.map((v) => v.toPrecision(2)) }, { ...axis(), scale: 'norm', side: 1 }],
    series: [{ label: 'step' }, { label: 'learning rate', stroke: resolved('--accent'), value: digits(3) }, { label: 'gradient norm', scale: 'norm', stroke: resolved('--faint'), value: digits(3) }] },
    [data.steps, data.rate, data.norm], document.getElementById('rate')));
}
draw();
addEventListener('resize', draw);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);`;
