// A self-contained HTML page about a run: its numbers, its texts, and the loss as a plot that can be zoomed and read
// point by point.
import type { StepMetrics } from '@qlora/trainer';
import { escapeHtml, renderPage } from './page';

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

/** The page as text. */
export async function renderReport(report: Report): Promise<string> {
  const data = {
    steps: report.steps.map(({ step }) => step),
    loss: report.steps.map(({ loss }) => loss),
    smooth: smooth(report.steps.map(({ loss }) => loss)),
    rate: report.steps.map(({ learningRate }) => learningRate),
    norm: report.steps.map(({ gradientNorm }) => gradientNorm),
  };
  return renderPage({
    title: report.title,
    subtitle: report.subtitle,
    body: `${report.sections.map(renderSection).join('\n')}
<section><h2>Loss</h2><p class="note">Mean cross entropy of each step's tokens, in nats. Drag to zoom, double-click to see all.</p><div id="loss"></div></section>
<section><h2>Learning rate and gradient norm</h2><div id="rate"></div></section>`,
    data,
    script: SCRIPT,
    style: STYLE,
  });
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

const STYLE = `
.texts { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 1rem; }
figure { margin: 0; border: 1px solid var(--line); border-radius: .5rem; padding: .8rem 1rem; } figcaption { color: var(--faint); font-size: .85rem; } blockquote { margin: .4rem 0 0; }`;

const SCRIPT = `
keepDrawn(() => {
  charts.push(new uPlot({ width: width(), height: 320, scales: { x: { time: false } }, axes: [axis(), axis()],
    series: [{ label: 'step' }, { label: 'loss', stroke: resolved('--faint'), width: 0.7, points: { show: false }, value: digits(4) }, { label: 'smoothed', stroke: resolved('--accent'), width: 2, points: { show: false }, value: digits(4) }] },
    [data.steps, data.loss, data.smooth], document.getElementById('loss')));
  charts.push(new uPlot({ width: width(), height: 200, scales: { x: { time: false }, norm: {} },
    axes: [axis(), { ...axis(), size: 70, values: (_, values) => values.map((v) => v.toPrecision(2)) }, { ...axis(), scale: 'norm', side: 1 }],
    series: [{ label: 'step' }, { label: 'learning rate', stroke: resolved('--accent'), value: digits(3) }, { label: 'gradient norm', scale: 'norm', stroke: resolved('--faint'), value: digits(3) }] },
    [data.steps, data.rate, data.norm], document.getElementById('rate')));
});`;
