// What a run looks like.
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { benchResult } from '../testing/results';
import type { LargeResult } from './result';
import { largeText } from './table';

const result: LargeResult = {
  format: 'qlora-bench-large',
  version: 1,
  started: '2026-01-02T03:04:05.000Z',
  seconds: 100,
  machine: benchResult([]).machine,
  settings: { size: 20e9, threads: 2, steps: ['quantize', 'merge', 'analyze'] },
  cachesDropped: true,
  inMemory: false,
  model: {
    like: 'Llama 3 8B',
    layers: 42,
    tensors: 381,
    parameters: 1e10,
    bytes: 20.4e9,
    files: 5,
    largestTensorBytes: 1.05e9,
    adapterBytes: 2e8,
    seconds: 30,
  },
  idlePeakBytes: 1.1e8,
  disk: [
    { what: 'read', bytes: 20.4e9, seconds: 10.2, others: null },
    { what: 'copy', bytes: 20.4e9, seconds: 20.4, others: 0.25 },
  ],
  steps: [
    {
      step: 'quantize',
      command: 'qlora quantize model --out nf4',
      bytesIn: 20.4e9,
      bytesOut: 7e9,
      seconds: 51,
      cpuSeconds: 76.5,
      others: 0.1,
      peakBytes: 4e8,
      tensors: 381,
      writeSeconds: 7,
    },
  ],
  missing: [
    { step: 'merge', why: 'the disk is full', failed: true },
    { step: 'analyze', why: 'the command has no such verb', failed: false },
  ],
};

describe('the table', () => {
  const cells = (name: string) =>
    largeText(result)
      .split('\n')
      .find((line) => line.startsWith(`│ ${name} `))
      ?.split('│')
      .map((cell) => cell.trim())
      .slice(2, -1);
  it('has the rates of the disk', () => {
    expect(cells('read alone')?.slice(0, 4)).toEqual(['10.2 s', '20.4 GB', '', '2.00 GB/s']);
    expect(cells('copy alone')).toEqual([
      '20.4 s',
      '20.4 GB',
      '20.4 GB',
      '1.00 GB/s',
      '',
      '',
      '',
      '0.250',
      '',
    ]);
  });
  it('has time, rate and memory of a step', () => {
    expect(cells('quantize')).toEqual([
      '51.0 s',
      '20.4 GB',
      '7.00 GB',
      '0.400 GB/s',
      '400 MB',
      '-650 MB',
      '1.50',
      '0.100',
      '7.00 s',
    ]);
  });
  it('says what failed, what was skipped, and where the files were', () => {
    // Where CI is set, colours are on.
    expect(stripVTControlCharacters(largeText(result))).toMatch(
      /merge failed: the disk is full\n.*analyze was skipped: .*no such verb/,
    );
    expect(largeText(result)).toContain('emptied before each measurement');
    expect(largeText({ ...result, cachesDropped: false })).toContain('may be from memory');
    expect(largeText({ ...result, inMemory: true })).toContain('lie in memory');
  });
});
