// What the command is asked, and what is held against its output.
import { elementCount } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { shapeFor } from './shape';
import { checkInspection, isThere, STEPS, stepOf } from './steps';

const help = `Commands:
  quantize [options] <model>  write a checkpoint
  export                      analyze nothing
`;

describe('steps', () => {
  it('are there if the help of the command lists their verb', () => {
    expect(STEPS.filter((step) => isThere(step, help))).toEqual(['quantize', 'export-gguf', 'export-qnat']);
  });
  it('name the model, and an output unless they only read', () => {
    const places = { model: '/m', adapter: '/a', out: '/o' };
    const steps = STEPS.map((name) => stepOf(name, places));
    for (const { args, output, adapter } of steps) {
      expect(args).toContain('/m');
      expect(args.includes('/a')).toBe(adapter);
      if (output !== null) expect(args.slice(-2)).toEqual(['--out', output]);
    }
    expect(new Set(steps.map(({ output }) => output)).size).toBe(STEPS.length);
  });
});

describe('an output', () => {
  const shape = shapeFor(1);
  const line = (tensors: readonly { readonly shape: readonly number[] }[]) =>
    JSON.stringify({ event: 'inspected', format: 'GGUF', tensors });
  it('is complete with as many tensors and values as the model, in whatever order', () => {
    const found = shape.tensors.map(({ shape: s }) => ({ shape: [elementCount(s)] })).reverse();
    expect(checkInspection(line(found), shape, 'out')).toBe(shape.tensors.length);
  });
  it('is refused with fewer of either', () => {
    expect(() => checkInspection(line(shape.tensors.slice(1)), shape, 'out')).toThrow(
      /has 10 tensors.*has 11/,
    );
    const short = shape.tensors.map((info, i) => (i === 0 ? { shape: [1] } : info));
    expect(() => checkInspection(line(short), shape, 'out')).toThrow(/has 11 tensors of .* values/);
    expect(() => checkInspection(undefined, shape, 'out')).toThrow();
  });
});
