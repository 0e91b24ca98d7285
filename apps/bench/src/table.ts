// What a run, its marks and a comparison look like on a terminal.
import Table from 'cli-table3';
import pc from 'picocolors';
import type { Comparison } from './compare';
import { bytes, digits, duration, rate, time } from './format';
import type { Mark } from './marks';
import type { BenchResult, MeasuredCase, MeasuredContender } from './result';
import { summary } from './statistics';
import { notesOf, versus } from './versus';

const newTable = (head: string[]) => new Table({ head, style: { head: [], border: [], compact: true } });

/** The whole run. */
export function resultText(result: BenchResult): string {
  return [headText(result), peersText(result), legendText(result), ...result.cases.map(caseText)].join('\n');
}

/** Machine, versions, threads. */
export function headText({ machine, settings, seconds }: BenchResult): string {
  const { cpu, cores, memoryBytes, platform, arch, instructions, node, v8, commit, load } = machine;
  return [
    `${cpu}, ${cores} cores, ${bytes(memoryBytes)}, ${platform} ${arch}${instructions.length ? `, ${instructions.join(' ')}` : ''}`,
    `Node ${node} (V8 ${v8}), commit ${commit ?? 'unknown'}, threads ${settings.threads.join(' and ')}`,
    `suite ${settings.suite}, ${settings.rounds} rounds, ${duration(seconds)}; load of the machine ${digits(load.before)} before, ${digits(load.after)} after`,
  ].join('\n');
}

/** The programs, and what of them is there. */
export function peersText({ peers }: Pick<BenchResult, 'peers'>): string {
  const table = newTable(['program', 'versions', 'how']);
  for (const { title, state, versions, how, note, problem, install } of peers) {
    if (state === 'measured')
      table.push([title, versionsText(versions), wrap(note ? `${how}. ${note}` : how)]);
    else if (state === 'absent')
      table.push([title, pc.yellow('absent'), wrap(`${problem}. To install it: ${install}`)]);
    else table.push([title, 'left out', '--peers all measures it, if it is installed']);
  }
  return table.toString();
}

const versionsText = (versions: Readonly<Record<string, string>>) =>
  Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join('\n');

/** What each contender computes. */
export function legendText({ cases }: Pick<BenchResult, 'cases'>): string {
  const ways = new Map<string, Set<string>>();
  for (const { name, what } of cases.flatMap(({ contenders }) => contenders))
    if (what) ways.set(name, (ways.get(name) ?? new Set()).add(what));
  const table = newTable(['contender', 'what it computes; @ stands before its threads']);
  for (const [name, what] of ways) table.push([name, [...what].map((text) => wrap(text, 90)).join('\n')]);
  return table.toString();
}

/** A case: a line for each contender, and what is to be said of them. */
export function caseText(measured: MeasuredCase): string {
  const table = newTable(['', 'median', 'quartiles', 'least … most', 'rate', 'speed']);
  for (const contender of measured.contenders)
    if (contender.ms.length > 0) table.push(rowOf(measured, contender));
  return [
    `\n${pc.bold(measured.title)}`,
    table.toString(),
    ...notesOf(measured).map((note) => wrap(note, 105)),
  ].join('\n');
}

function rowOf(measured: MeasuredCase, contender: MeasuredContender): string[] {
  const { median, low, high, least, most } = summary(contender.ms);
  const compared = versus(measured, contender);
  return [
    contender.id,
    time(median),
    `${time(low)} … ${time(high)}`,
    `${time(least)} … ${time(most)}`,
    rate(measured.amount, median, measured.unit),
    compared ? `${digits(compared.ratio.value)} × ${compared.baseline}` : '',
  ];
}

/** The goals; nothing where none of their cases was measured. */
export function marksText(marks: readonly Mark[]): string {
  if (marks.length === 0) return '';
  const table = newTable(['mark', '', 'goal', 'measured', '', '']);
  const colors = { met: pc.green, missed: pc.red, disturbed: pc.yellow, 'not measured': pc.yellow };
  for (const { what, kind, target, measured, state, missing } of marks)
    table.push([
      what,
      kind === 'least' ? 'at least' : 'aim',
      target,
      measured,
      colors[state](state === 'not measured' ? '' : state),
      missing,
    ]);
  return `\n${pc.bold('The marks')} (speed of ours over the other’s in this run; in brackets the quartiles over rounds)\n${table.toString()}`;
}

/** A comparison of two runs. */
export function comparisonText({ changes, machineFactor, gone }: Comparison): string {
  const table = newTable(['case', '', 'before', 'after', 'time', 'allowed', '']);
  const colors = { slower: pc.red, faster: pc.green, 'as before': pc.dim };
  for (const { caseId, contender, before, after, factor, allowed, verdict } of changes)
    table.push([
      caseId,
      contender,
      time(before),
      time(after),
      `${digits(factor)} ×`,
      `${digits(allowed)} ×`,
      colors[verdict](verdict),
    ]);
  const lines = [table.toString()];
  if (machineFactor !== undefined)
    lines.push(
      `What others measured in both runs took ${digits(machineFactor)} × the time: that is the machine.`,
    );
  if (gone.length > 0) lines.push(`No longer measured: ${gone.join(', ')}.`);
  return lines.join('\n');
}

/** Breaks a text into lines of some 60 letters, so that tables fit. */
function wrap(text: string, width = 60): string {
  const lines: string[] = [''];
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last && last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = last ? `${last} ${word}` : word;
  }
  return lines.join('\n');
}
