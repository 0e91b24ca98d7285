// A run as one HTML file that opens from disk: the marks, each case as bars, what was measured and how. No script and
// nothing from a network.
import { bytes, digits, duration, rate, rateOf, threadCount, time } from '../format';
import { evaluateMarks, type Mark, ratioText } from '../marks';
import type { BenchResult, MeasuredCase, MeasuredContender } from '../result';
import { summary } from '../statistics';
import { notesOf, versus } from '../versus';
import { type Bar, barPlot } from './bars';
import { escapeHtml } from './escape';
import { PAGE_STYLE } from './style';

const groupTitles: Readonly<Record<MeasuredCase['group'], string>> = {
  codec: 'Codecs',
  product: 'Products with a 4-bit weight',
  layer: 'A layer with its adapter',
  model: 'Models',
};

/** The page as text. */
export function renderPage(result: BenchResult): string {
  const groups = Object.entries(groupTitles).flatMap(([group, title]) => {
    const cases = result.cases.filter((measured) => measured.group === group);
    const alone = cases.filter(({ contenders }) => contenders.length === 1);
    const compared = cases.filter(({ contenders }) => contenders.length > 1);
    if (cases.length === 0) return [];
    return [`<h2>${title}</h2>${compared.map(renderCase).join('\n')}${renderAlone(alone)}`];
  });
  const { machine, started, settings, seconds } = result;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>@qlora: benchmark</title>
<style>${PAGE_STYLE}</style>
<main>
<h1>@qlora: benchmark</h1>
<p class="note">${escapeHtml(`${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, ${started.slice(0, 10)}; suite ${settings.suite}, ${settings.rounds} rounds in ${duration(seconds)}`)}</p>
${renderMarks(evaluateMarks(result))}
<h2>How to read the plots</h2>
<p>Longer bars are faster. A bar is the median over rounds, the thick line on it spans the quartiles, the thin one least to most. In each round every contender had one turn, so ratios hold where times do not: behind each bar is the speed relative to ours with as many threads (ours on more threads: relative to itself on one).</p>
<p class="legend"><span class="ours">ours</span> <span class="script">in JavaScript and WebAssembly</span> <span class="native">native code</span> <span class="machine">the machine</span></p>
${groups.join('\n')}
<h2>What was measured</h2>
${renderPeers(result)}
<h2>Machine</h2>
${renderMachine(result)}
</main>
</html>
`;
}

function renderMarks(marks: readonly Mark[]): string {
  if (marks.length === 0) return '';
  const rows = marks.map(({ what, kind, target, measured, state, missing }) =>
    row(
      'td',
      [what, kind === 'least' ? 'at least' : 'aim', target, measured, missing || state],
      state.replace(' ', '-'),
    ),
  );
  return `<h2>The marks</h2>
<p class="note">Speed of ours over the other’s; in brackets the quartiles of the ratio, round by round.</p>
<div class="wide"><table class="marks"><thead>${row('th', ['what', '', 'goal', 'measured', ''])}</thead><tbody>${rows.join('')}</tbody></table></div>`;
}

const row = (cell: 'td' | 'th', values: readonly string[], kind = '') =>
  `<tr${kind ? ` class="${kind}"` : ''}>${values.map((value) => `<${cell}>${escapeHtml(value)}</${cell}>`).join('')}</tr>`;

/** Whose bar it is. */
export function familyOf(peer: string): string {
  if (peer === 'qlora') return 'ours';
  if (peer === 'copy') return 'machine';
  return peer === 'tfjs-wasm' || peer === 'jax-js' ? 'script' : 'native';
}

function renderCase(measured: MeasuredCase): string {
  const { title, contenders } = measured;
  const timed = contenders.filter(({ ms }) => ms.length > 0);
  const byThreads = [...timed].sort((a, b) => a.threads - b.threads);
  const plot = barPlot(
    byThreads.map((contender) => barOf(measured, contender)),
    title,
  );
  const list = notesOf(measured)
    .map((note) => `<li>${escapeHtml(note)}</li>`)
    .join('');
  return `<figure><figcaption>${escapeHtml(title)}</figcaption>${plot}${list ? `<ul>${list}</ul>` : ''}</figure>`;
}

/** Cases that only ours entered for, in one plot. */
function renderAlone(cases: readonly MeasuredCase[]): string {
  const bars = cases.flatMap((measured) =>
    measured.contenders
      .filter(({ ms }) => ms.length > 0)
      // The titles differ in what stands before their size.
      .map((contender) => ({ ...barOf(measured, contender), label: measured.title.split(',')[0] ?? '' })),
  );
  if (bars.length === 0) return '';
  const title = 'Ours alone';
  return `<figure><figcaption>${title}</figcaption>${barPlot(bars, title)}</figure>`;
}

function barOf(measured: MeasuredCase, contender: MeasuredContender): Bar {
  const { amount, unit } = measured;
  const { id, name, threads, what, ms, runs, peer } = contender;
  const { median, low, high, least, most } = summary(ms);
  const compared = versus(measured, contender);
  const toRate = (value: number) => rateOf(amount, value, unit);
  return {
    label: `${name}, ${threadCount(threads)}`,
    family: familyOf(peer),
    median: toRate(median),
    // The longest time is the least rate.
    low: toRate(high),
    high: toRate(low),
    least: toRate(most),
    most: toRate(least),
    text: `${rate(amount, median, unit)} · ${time(median)}${compared ? ` · ${digits(compared.ratio.value)} ×` : ''}`,
    hint: [
      `${id}: ${what}`,
      `median ${time(median)}, quartiles ${time(low)} … ${time(high)}, all ${time(least)} … ${time(most)}, ${runs} runs in ${ms.length} rounds`,
      ...(compared ? [`speed ${ratioText(compared.ratio)} that of ${compared.baseline}`] : []),
    ].join('\n'),
  };
}

function renderPeers({ peers, cases }: BenchResult): string {
  const rows = peers.map(({ title, state, versions, how, note, problem, install }) => {
    const shown = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
    const said = state === 'absent' ? `${problem}; ${install} installs it` : note ? `${how}. ${note}` : how;
    return row('td', [title, state === 'measured' ? shown.join(', ') : state, said]);
  });
  const ways = new Map(
    cases.flatMap(({ contenders }) => contenders.map(({ name, what }) => [name + what, [name, what]])),
  );
  const explained = [...ways.values()].filter(([, what]) => what).map((way) => row('td', way));
  return `<div class="wide"><table><thead>${row('th', ['program', 'versions', 'how'])}</thead><tbody>${rows.join('')}</tbody></table></div>
<div class="wide"><table><thead>${row('th', ['contender', 'what it computes'])}</thead><tbody>${explained.join('')}</tbody></table></div>`;
}

function renderMachine({ machine, settings, started }: BenchResult): string {
  const facts: [string, string][] = [
    ['processor', `${machine.cpu}, ${machine.cores} cores, ${machine.instructions.join(' ')}`],
    ['memory', bytes(machine.memoryBytes)],
    ['system', `${machine.platform} ${machine.arch}`],
    ['Node', `${machine.node}, V8 ${machine.v8}`],
    ['commit', machine.commit ?? 'unknown'],
    ['threads', settings.threads.join(', ')],
    ['begun', started],
    ['load', `${digits(machine.load.before)} before, ${digits(machine.load.after)} after`],
  ];
  return `<table>${facts.map((fact) => row('td', fact)).join('')}</table>`;
}
