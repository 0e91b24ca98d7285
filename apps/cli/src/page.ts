// What all pages that the command writes have in common: one file that opens anywhere without a network, uPlot and its style
// inlined, light and dark. Names of tensors come from files of others, so everything is escaped.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

/** A page. */
export interface Page {
  readonly title: string;
  readonly subtitle: string;
  /** HTML of what follows the title. */
  readonly body: string;
  /** What the script finds as `data`; JSON. */
  readonly data: unknown;
  /**
   * Draws the plots. It finds `uPlot`, `data`, and the helpers of this file: `keepDrawn`, `charts`, `width`, `axis`,
   * `resolved`, `digits`.
   */
  readonly script: string;
  /** CSS that only this page needs. */
  readonly style?: string;
  /** How the file begins, so that it is known again; default {@link DOCTYPE}. */
  readonly opening?: string;
}

/** How an HTML file begins. */
export const DOCTYPE = '<!doctype html>';

/** Text that means nothing to HTML, in attributes too. */
export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] ?? c);

/** The page as text. */
export async function renderPage(page: Page): Promise<string> {
  const require = createRequire(import.meta.url);
  const script = await readFile(require.resolve('uplot/dist/uPlot.iife.min.js'), 'utf8');
  const style = await readFile(require.resolve('uplot/dist/uPlot.min.css'), 'utf8');
  // A tag inside a text would end the script.
  const data = JSON.stringify(page.data).replaceAll('<', '\\u003c');
  return `${page.opening ?? DOCTYPE}
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(page.title)}</title>
<style>${style}${PAGE_STYLE}${page.style ?? ''}</style>
<main>
<h1>${escapeHtml(page.title)}</h1>
<p class="subtitle">${escapeHtml(page.subtitle)}</p>
${page.body}
</main>
<script>${script}</script>
<script>const data = ${data};
${PAGE_SCRIPT}
${page.script}</script>
</html>
`;
}

const PAGE_STYLE = `
:root { color-scheme: light dark; --ink: light-dark(#1c1d21, #e8e8ea); --paper: light-dark(#fdfdfc, #17181b); --faint: light-dark(#6b6e76, #9a9da6); --line: light-dark(#e3e3e0, #303238); --accent: light-dark(#2458c5, #86a8ff); }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
.subtitle, .note { color: var(--faint); margin: .3rem 0 0; }
table { border-collapse: collapse; } th { text-align: left; font-weight: normal; color: var(--faint); padding: .25rem 2rem .25rem 0; } td { padding: .25rem 0; font-variant-numeric: tabular-nums; }
.u-legend { color: var(--ink); font-size: .85rem; }`;

const PAGE_SCRIPT = `
const probe = document.body.appendChild(document.createElement('i'));
const resolved = (name) => { probe.style.color = 'var(' + name + ')'; return getComputedStyle(probe).color; };
const axis = () => ({ stroke: resolved('--faint'), grid: { stroke: resolved('--line') }, ticks: { stroke: resolved('--line') } });
const digits = (n) => (_, v) => (v == null ? '' : v.toPrecision(n));
const width = () => document.querySelector('main').clientWidth - 40;
const charts = [];
function keepDrawn(draw) {
  const redraw = () => { for (const chart of charts.splice(0)) chart.destroy(); draw(); };
  redraw();
  addEventListener('resize', redraw);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
  return redraw;
}`;
