import { safetensorsSink } from '@qlora/safetensors';
import {
  flatRange,
  memorySink,
  memorySource,
  type RunTask,
  runHere,
  runItems,
  type TensorSource,
} from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { copyItem, encodePartTask, quantizedItems } from './index';
import { type TaskPool, taskPool } from './node-task-pool';
import { modelTensors } from './testing/model-folder';
import { arraysIn } from './transfer';

const tensors = modelTensors({ hidden: 1030, wide: 4201, layers: 1 });
/** Threads keep the arrays that they are given, so what is read is a copy. */
const source: TensorSource = {
  ...memorySource(tensors, { label: 'memory' }),
  async readRange(name, start, count) {
    const { dtype, shape, data } = flatRange(tensors.get(name) ?? expect.fail(name), start, count);
    return { dtype, shape, data: data.slice() };
  },
};

async function quantizeWith(run: RunTask, slots: number): Promise<Uint8Array> {
  const names = [...tensors.keys()].filter((name) => name.includes('_proj'));
  const weights = names.map((name) => ({ name, transposed: false }));
  const items = quantizedItems(source, { weights }, { scheme: 'nf4', blockSize: 64, doubleQuant: true });
  const bytes = memorySink();
  const outputs = items.flatMap((item) => item.outputs);
  const sink = await safetensorsSink(bytes, outputs, {
    late: new Set(items.flatMap(({ late }) => late ?? [])),
  });
  await runItems(items, { sink, run, slots });
  await sink.finish();
  return bytes.bytes();
}

async function withPool<T>(threads: number, body: (pool: TaskPool) => Promise<T>): Promise<T> {
  const pool = taskPool({ threads });
  return body(pool).finally(() => pool.close());
}

describe('a pool of threads', () => {
  it('gives the bytes of a single thread, in whatever order the ranges end', async () => {
    const alone = await quantizeWith(runHere, 1);
    for (const threads of [2, 4]) {
      const shared = await withPool(threads, ({ run, slots }) => quantizeWith(run, slots));
      expect(Buffer.compare(shared, alone)).toBe(0);
    }
  });

  it('hands on what its threads refuse, as they say it', async () => {
    const info = { name: 'w', dtype: 'f32', shape: [2] } as const;
    const bad = memorySource([['w', { ...info, data: Float32Array.of(1, Number.NaN) }]], { label: 'bad' });
    const sink = await safetensorsSink(memorySink(), [info]);
    await withPool(2, async ({ run }) => {
      const refused = runItems([copyItem(bad, info)], { sink, run });
      await expect(refused).rejects.toThrow(
        'bad: w: value 1 is NaN. The weights are damaged: fetch them again.',
      );
      await expect(run({ ...encodePartTask, name: 'none' }, {} as never)).rejects.toThrow(/no task "none"/);
    });
  });

  it('has no thread where there is little to do, or one thread', async () => {
    const square = { name: 'square', run: (x: number) => x * x };
    for (const options of [{ threads: 1 }, { threads: 8, bytes: 1e6 }]) {
      const pool = taskPool(options);
      // No worker knows this task.
      expect(await pool.run(square, 3)).toBe(9);
      await pool.close();
    }
  });

  it('refuses a number of threads that is none', () => {
    expect(() => taskPool({ threads: 0 })).toThrow(/threads is 0.*from 1 to 256/);
  });
});

describe('a message to a thread', () => {
  it('hands arrays over that fill their buffer, and copies views of a part', () => {
    const whole = new Float32Array(4);
    const part = new Float32Array(8).subarray(2, 4);
    expect(arraysIn({ values: { data: whole }, part, again: whole, text: 'x' })).toEqual([whole.buffer]);
  });
});
