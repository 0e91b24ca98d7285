// What a run on a large model looks like on a terminal.
import Table from 'cli-table3';
import pc from 'picocolors';
import { bytes, digits, duration, threadCount, time } from '../format';
import type { LargeResult } from './result';

/** The whole run. */
export function largeText(result: LargeResult): string {
  return [headText(result), tableText(result), ...notes(result)].join('\n');
}

function headText({ machine, settings, model, seconds, cachesDropped, inMemory }: LargeResult): string {
  const { cpu, cores, memoryBytes, platform, arch, node, commit, load } = machine;
  const cache = cachesDropped
    ? 'the file cache was emptied before each measurement'
    : 'the file cache was left as it was, so reading may be from memory';
  return [
    `${cpu}, ${cores} cores, ${bytes(memoryBytes)}, ${platform} ${arch}`,
    `Node ${node}, commit ${commit ?? 'unknown'}, ${threadCount(settings.threads)}; load of the machine ${digits(load.before)} before, ${digits(load.after)} after`,
    `model: ${bytes(model.bytes)} in bf16, ${model.files} files, ${model.tensors} tensors, ${model.layers} layers like those of ${model.like}, made in ${time(model.seconds * 1000)}`,
    `largest tensor ${bytes(model.largestTensorBytes)}, adapter ${bytes(model.adapterBytes)}`,
    `${cache}; all in ${duration(seconds)}`,
    ...(inMemory ? [pc.yellow('the files lie in memory (tmpfs): name a --dir that is on a disk')] : []),
  ].join('\n');
}

function tableText({ disk, steps, idlePeakBytes, model }: LargeResult): string {
  const table = new Table({
    head: [
      '',
      'time',
      'in',
      'out',
      'of input',
      'peak memory',
      'largest tensor +',
      'cores',
      'others',
      'write',
    ],
    style: { head: [], border: [], compact: true },
    colAligns: ['left', ...Array(9).fill('right')],
  });
  const rate = (count: number, seconds: number) => `${digits(count / 1e9 / seconds)} GB/s`;
  const cores = (count: number | null) => (count === null ? '' : digits(count));
  for (const { what, bytes: count, seconds, others } of disk) {
    const out = what === 'copy' ? bytes(count) : '';
    const name = `${what} alone`;
    table.push([
      name,
      time(seconds * 1000),
      bytes(count),
      out,
      rate(count, seconds),
      '',
      '',
      '',
      cores(others),
      '',
    ]);
  }
  table.push(['qlora --version', '', '', '', '', bytes(idlePeakBytes), '', '', '', '']);
  for (const run of steps) {
    const beyond = run.peakBytes - model.largestTensorBytes;
    table.push([
      run.step,
      time(run.seconds * 1000),
      bytes(run.bytesIn),
      run.bytesOut > 0 ? bytes(run.bytesOut) : '',
      rate(run.bytesIn, run.seconds),
      bytes(run.peakBytes),
      `${beyond < 0 ? '-' : ''}${bytes(Math.abs(beyond))}`,
      digits(run.cpuSeconds / run.seconds),
      cores(run.others),
      run.writeSeconds === null ? '' : time(run.writeSeconds * 1000),
    ]);
  }
  return table.toString();
}

function notes({ missing }: LargeResult): string[] {
  return [
    'peak memory: of the process, resident; largest tensor +: what of it is beyond the largest tensor in bf16',
    'cores, others: that the process used, and that others did (the system’s own writing among them)',
    'write: a plain write of as many bytes as the output has',
    ...missing.map(({ step, why, failed }) =>
      failed ? pc.red(`${step} failed: ${why}`) : pc.yellow(`${step} was skipped: ${why}`),
    ),
  ];
}
