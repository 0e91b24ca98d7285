import { describe, expect, it } from 'vitest';
import { type ConversionItem, RANGE_VALUES, type RangeSink, runItems } from './conversion';

const sink = {} as RangeSink;

function item(name: string, elements: number, unit: number, log: string[]): ConversionItem {
  return {
    name,
    outputs: [],
    elements,
    bytes: 2 * elements,
    unit,
    async convert(start, count) {
      await new Promise((resolve) => setTimeout(resolve, start === 0 ? 5 : 0));
      log.push(`${name} ${start}+${count}`);
    },
    async finish() {
      log.push(`${name} done`);
    },
  };
}

describe('runItems', () => {
  it('cuts an item into ranges of whole units, covers it once, and finishes it last', async () => {
    const log: string[] = [];
    const elements = 2 * RANGE_VALUES + 7;
    await runItems([item('a', elements, 3, log)], { sink });
    const ranges = log
      .filter((line) => line.includes('+'))
      .map((line) => line.split(' ')[1]!.split('+').map(Number));
    ranges.sort((a, b) => a[0]! - b[0]!);
    let end = 0;
    for (const [start, count] of ranges) {
      expect(start).toBe(end);
      expect(start! % 3).toBe(0);
      expect(count).toBeLessThanOrEqual(RANGE_VALUES);
      end += count!;
    }
    expect(end).toBe(elements);
    expect(log.at(-1)).toBe('a done');
  });

  it('takes a unit that is larger than a range whole', async () => {
    const log: string[] = [];
    await runItems([item('a', 3 * RANGE_VALUES, 3 * RANGE_VALUES, log)], { sink });
    expect(log).toEqual([`a 0+${3 * RANGE_VALUES}`, 'a done']);
  });

  it('converts an empty tensor too', async () => {
    const log: string[] = [];
    await runItems([item('a', 0, 64, log)], { sink });
    expect(log).toEqual(['a 0+0', 'a done']);
  });

  it('has at most as many ranges in flight as it has slots', async () => {
    let now = 0;
    let most = 0;
    const items = Array.from({ length: 9 }, (_, i) => ({
      ...item(`${i}`, 4, 1, []),
      async convert() {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setTimeout(resolve, 1));
        now--;
      },
    }));
    await runItems(items, { sink, slots: 4 });
    expect(most).toBe(4);
  });

  it('counts bytes and complete items', async () => {
    const seen: { bytes: number; items: number }[] = [];
    const items = [item('a', 10, 1, []), item('b', 5, 1, [])];
    await runItems(items, { sink, slots: 1, onProgress: (progress) => seen.push(progress) });
    expect(seen).toEqual([
      { bytes: 20, items: 1 },
      { bytes: 30, items: 2 },
    ]);
  });

  it('stops at the first error, after what was in flight', async () => {
    const log: string[] = [];
    const broken: ConversionItem = {
      ...item('b', 1, 1, log),
      async convert() {
        throw new Error('broken');
      },
    };
    const items = [item('a', 1, 1, log), broken, item('c', 1, 1, log), item('d', 1, 1, log)];
    await expect(runItems(items, { sink, slots: 2 })).rejects.toThrow('broken');
    expect(log).toEqual(['a 0+1', 'a done']);
  });

  it('stops before its next range when it is told to', async () => {
    const log: string[] = [];
    const stop = new AbortController();
    const first: ConversionItem = {
      ...item('a', 1, 1, log),
      async convert() {
        stop.abort(new Error('enough'));
      },
    };
    const run = runItems([first, item('b', 1, 1, log)], { sink, slots: 1, signal: stop.signal });
    await expect(run).rejects.toThrow('enough');
    expect(log).toEqual(['a done']);
  });
});
