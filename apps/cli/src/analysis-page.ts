// An analysis as a page: what each scheme takes and costs, and the signal to noise of every tensor as a plot, layer
// by layer, of all kinds of modules or of one.
import { type Analysis, advice, type Row, unbeatenSchemes } from './analysis';
import { FIGURES, figureCells, signals } from './analysis-table';
import { DOCTYPE, escapeHtml, renderPage } from './page';

/** How the page begins; nothing else is replaced by a new one. */
export const ANALYSIS_OPENING = `${DOCTYPE}\n<!-- qlora analyze -->`;

/** The page as text. */
export async function renderAnalysis(model: string, analysis: Analysis): Promise<string> {
  const { schemes, tensors, kinds, total } = analysis;
  const values = tensors.reduce((sum, tensor) => sum + tensor.values, 0);
  return renderPage({
    title: 'What quantization costs',
    subtitle: `${model}: ${tensors.length} tensors, ${values.toLocaleString('en')} values`,
    body: [
      section(
        'Schemes',
        `<p class="note">All tensors together. Decibels of signal to noise are 10 · log₁₀(Σx² / Σ(x − x̂)²); ${escapeHtml(advice(analysis))}.</p>`,
        schemeRows(analysis),
      ),
      section('Signal against size', '<div id="trade"></div>'),
      section(
        'Signal to noise by tensor',
        '<p class="note">Layer by layer, in dB. Hover for names, drag to zoom, double-click to see all, click a scheme to hide it.</p>',
        `<p><label>Kind: <select id="kind"><option value="">all</option>${kinds.map(({ kind }) => `<option>${escapeHtml(kind)}</option>`).join('')}</select></label></p>`,
        '<div id="tensors"></div>',
      ),
      section(
        'By kind of layer, in dB',
        table(
          ['kind', 'tensors', ...schemes],
          [
            ...kinds.map((row) => [row.kind, String(row.tensors), ...signals(row.figures)]),
            ['all', String(tensors.length), ...signals(total)],
          ],
        ),
      ),
      `<section><details><summary>Every tensor, in dB</summary>${table(
        ['tensor', 'shape', ...schemes],
        tensors.map(({ name, shape, figures }) => [name, shape.join(' × '), ...signals(figures)]),
      )}</details></section>`,
    ].join('\n'),
    data: {
      schemes,
      names: tensors.map(({ name }) => name),
      kinds: tensors.map(({ kind }) => kind),
      signal: schemes.map((_, s) => tensors.map(({ figures }) => finite(figures[s]?.signalToNoise))),
      bits: total.map(({ bitsPerValue }) => bitsPerValue),
      totals: total.map(({ signalToNoise }) => finite(signalToNoise)),
    },
    script: SCRIPT,
    style: STYLE,
    opening: ANALYSIS_OPENING,
  });
}

/** A gap in the plot, where nothing was lost. */
const finite = (value = 0): number | null => (Number.isFinite(value) ? value : null);

const section = (title: string, ...parts: readonly string[]): string =>
  `<section><h2>${escapeHtml(title)}</h2>${parts.join('')}</section>`;

function schemeRows({ schemes, total }: { schemes: readonly string[]; total: Row }): string {
  const best = new Set(unbeatenSchemes(total));
  return table(
    ['scheme', ...FIGURES, ''],
    total.map((figures, i) => [schemes[i] ?? '', ...figureCells(figures), best.has(i) ? 'unbeaten' : '']),
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (tag: string, row: readonly string[]) =>
    `<tr>${row.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`;
  return `<div class="wide"><table class="figures">${cells('th', head)}${rows.map((row) => cells('td', row)).join('')}</table></div>`;
}

const STYLE = `
:root { --s0: light-dark(#2458c5, #86a8ff); --s1: light-dark(#c2410c, #fb9a5b); --s2: light-dark(#0f766e, #4fd1c0); --s3: light-dark(#a21caf, #e58bf0); --s4: light-dark(#65740d, #c3d45b); --s5: light-dark(#b91c3c, #ff8a9c); --s6: light-dark(#5b5f6b, #b4b8c4); --s7: light-dark(#7c4a1e, #d9a878); }
.wide { overflow-x: auto; } .figures th, .figures td { padding: .25rem 1.2rem .25rem 0; text-align: right; white-space: nowrap; } .figures :is(th, td):first-child { text-align: left; }
summary { cursor: pointer; font-size: 1.1rem; font-weight: bold; margin: 2.2rem 0 .6rem; } select { font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--line); border-radius: .3rem; padding: .1rem .4rem; }`;

const SCRIPT = `
const colour = (i) => resolved('--s' + (i % 8));
const chosen = document.getElementById('kind');
const hidden = new Set();
const dots = (i) => ({ show: true, size: 6, width: 1, fill: colour(i), stroke: colour(i) });
const fixed = (_, v) => (v == null ? '' : v.toFixed(2));
const redraw = keepDrawn(() => {
  const rows = data.names.map((_, i) => i).filter((i) => !chosen.value || data.kinds[i] === chosen.value);
  const x = rows.map((_, k) => k);
  charts.push(new uPlot({ width: width(), height: 360, scales: { x: { time: false } },
    axes: [{ ...axis(), values: (_, at) => at.map((v) => (Number.isInteger(v) ? v : '')) }, axis()],
    series: [{ label: 'tensor', value: (_, v) => (v == null ? '' : data.names[rows[v]]) },
      ...data.schemes.map((label, i) => ({ label, show: !hidden.has(i), stroke: colour(i), width: chosen.value ? 1.5 : 0, points: dots(i), value: fixed }))],
    hooks: { setSeries: [(_, i, change) => { if (i > 0 && 'show' in change) hidden[change.show ? 'delete' : 'add'](i - 1); }] } },
    [x, ...data.signal.map((signal) => rows.map((i) => signal[i]))], document.getElementById('tensors')));
  const bits = [...new Set(data.bits)].sort((a, b) => a - b);
  charts.push(new uPlot({ width: width(), height: 260, scales: { x: { time: false, range: (_, low, high) => [low - 0.1, high + 0.1] } },
    axes: [axis(), axis()],
    series: [{ label: 'bits a value', value: (_, v) => (v == null ? '' : v.toFixed(3)) },
      ...data.schemes.map((label, i) => ({ label, stroke: colour(i), width: 0, points: { ...dots(i), size: 10 }, value: fixed }))] },
    [bits, ...data.totals.map((total, s) => bits.map((at) => (at === data.bits[s] ? total : null)))], document.getElementById('trade')));
});
chosen.addEventListener('change', redraw);`;
