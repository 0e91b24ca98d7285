// Bars with their spread, as SVG text: the bar is the median, the thick line the quartiles, the thin one the extremes.
// Colors are classes, so that the page's style has light and dark.
import { escapeHtml } from './escape';

/** A bar. All numbers are of one unit; longer is better. */
export interface Bar {
  readonly label: string;
  /** A class of the page's style: whose bar it is. */
  readonly family: string;
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly least: number;
  readonly most: number;
  /** Written behind the bar. */
  readonly text: string;
  /** Shown when pointed at. */
  readonly hint: string;
}

const WIDTH = 900;
const LABEL = 225;
const TEXT = 240;
const ROW = 24;
const BAR = 14;

/** A plot of bars, one below the other, from 0. */
export function barPlot(bars: readonly Bar[], title: string): string {
  const most = Math.max(...bars.map(({ most: end }) => end), Number.MIN_VALUE);
  const plot = WIDTH - LABEL - TEXT;
  const x = (value: number) => (LABEL + (plot * value) / most).toFixed(1);
  const rows = bars.map((bar, index) => {
    const top = index * ROW + 4;
    const middle = top + BAR / 2;
    const line = (from: number, to: number, kind: string) =>
      `<line class="${kind}" x1="${x(from)}" x2="${x(to)}" y1="${middle}" y2="${middle}"/>`;
    return [
      `<g class="${bar.family}"><title>${escapeHtml(bar.hint)}</title>`,
      `<text class="label" x="${LABEL - 8}" y="${middle}">${escapeHtml(bar.label)}</text>`,
      `<rect x="${LABEL}" y="${top}" width="${((plot * bar.median) / most).toFixed(1)}" height="${BAR}" rx="2"/>`,
      line(bar.least, bar.most, 'thin'),
      line(bar.low, bar.high, 'thick'),
      `<text class="value" x="${WIDTH - TEXT + 8}" y="${middle}">${escapeHtml(bar.text)}</text>`,
      '</g>',
    ].join('');
  });
  const height = bars.length * ROW + 4;
  const axis = `<line class="axis" x1="${LABEL}" x2="${LABEL}" y1="0" y2="${height}"/>`;
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeHtml(title)}">${rows.join('')}${axis}</svg>`;
}
