import { bytesSource, memorySink, tensor } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { openSafetensors } from './reader';
import { safetensorsSink } from './writer';

const info = { name: 'w', dtype: 'f32', shape: [4, 8] } as const;
const values = Float32Array.from({ length: 32 }, (_, i) => i);
const part = (start: number, count: number) => tensor('f32', [count], values.slice(start, start + count));

/** A sink whose writes end in another order than they began. */
function slowSink(): ReturnType<typeof memorySink> {
  const sink = memorySink('slow');
  let turn = 4;
  return {
    ...sink,
    async write(offset, bytes) {
      await new Promise((resolve) => setTimeout(resolve, 2 * turn--));
      await sink.write(offset, bytes);
    },
  };
}

describe('names', () => {
  const written = async (...names: string[]) => {
    const bytes = memorySink();
    const tensors = names.map((name) => ({ name, dtype: 'u8', shape: [1] }) as const);
    const sink = await safetensorsSink(bytes, tensors);
    for (const [i, name] of names.entries()) await sink.write(name, tensor('u8', [1], Uint8Array.of(i)));
    await sink.finish();
    return bytes.bytes();
  };
  it('lie in the order of their UTF-8 bytes, those that look like numbers too', async () => {
    const header = new TextDecoder().decode((await written('b', '10', '9', '\uff5e', '😀', '')).subarray(8));
    const order = [...header.matchAll(/"([^"]*)":\{/g)].map(([, name]) => name);
    expect(order).toEqual(['', '10', '9', 'b', '\uff5e', '😀']);
  });
  it.each(['__metadata__', 'half \ud83d', '\udc00'])(
    'that no reader would find again are refused: %j',
    async (name) => {
      await expect(written(name)).rejects.toThrow(/another name/);
    },
  );
  it('may hold anything else', async () => {
    const names = ['\\ud83d', '"', '__proto__', '\n', '😀'];
    const file = await openSafetensors(bytesSource(await written(...names)));
    expect(file.tensors.map(({ name }) => name).sort()).toEqual([...names].sort());
  });
});

describe('a tensor that is written in parts', () => {
  it('is complete when its parts add up to it, several under way at once', async () => {
    const whole = memorySink('whole');
    const one = await safetensorsSink(whole, [info]);
    await one.write('w', tensor('f32', [4, 8], values));
    await one.finish();

    const bytes = slowSink();
    const sink = await safetensorsSink(bytes, [info]);
    await Promise.all(
      [20, 0, 10, 30].map((start) => sink.writeRange('w', start, part(start, start === 30 ? 2 : 10))),
    );
    await sink.finish();
    expect(Buffer.compare(bytes.bytes(), whole.bytes())).toBe(0);
  });

  it('is refused when a part lies outside, is of another type, comes twice, or is missing', async () => {
    const sink = await safetensorsSink(memorySink(), [info]);
    await expect(sink.writeRange('w', 28, part(0, 8))).rejects.toThrow(/8 f32 values came for place 28/);
    await expect(sink.writeRange('w', -1, part(0, 1))).rejects.toThrow(/place -1/);
    await expect(sink.writeRange('w', 0, tensor('f16', [1], new Uint16Array(1)))).rejects.toThrow(
      /1 f16 values/,
    );
    await sink.writeRange('w', 0, part(0, 16));
    await expect(sink.finish()).rejects.toThrow(/1 announced tensors were not written: w/);
    await sink.writeRange('w', 16, part(16, 16));
    await expect(sink.writeRange('w', 0, part(0, 1))).rejects.toThrow(/is written twice/);
    await expect(sink.writeRange('x', 0, part(0, 1))).rejects.toThrow(/was not announced/);
  });

  it('of unknown length is not', async () => {
    const late = { name: 'state', dtype: 'u8', shape: [100] } as const;
    const sink = await safetensorsSink(memorySink(), [late], { late: new Set(['state']) });
    const bytes = tensor('u8', [2], Uint8Array.of(1, 2));
    await expect(sink.writeRange('state', 0, bytes)).rejects.toThrow(/unknown length is written whole/);
  });
});
