// SPEC.md says what the code does: its worked example, its tables, its list of rules.
import { readFileSync } from 'node:fs';
import { createDynamicMap } from '@qlora/double-quant';
import { FP4_CODEBOOK, NF4_CODEBOOK } from '@qlora/nf4';
import { quantizeTensor } from '@qlora/quant-strategies';
import { bytesOf, bytesSource, DTYPES, elementSize, tensor } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { crc32 } from './header';
import { LIMITS } from './layout';
import { openQnat } from './reader';
import { bits, fileOf, rulesIn } from './testing';

const spec = readFileSync(new URL('../SPEC.md', import.meta.url), 'utf8');
/** The content of the fenced block after a heading. */
const blockAfter = (heading: string): string => {
  const match = spec.slice(spec.indexOf(heading)).match(/```\w*\n([\s\S]*?)```/);
  return match?.[1] ?? '';
};
const numbersAfter = (heading: string) => blockAfter(heading).trim().split(/\s+/).map(Number);

/** As `hexdump -C` prints it, without the column of characters. */
function hexdump(bytes: Uint8Array): string {
  const lines: string[] = [];
  let previous = '';
  for (let at = 0; at < bytes.length; at += 16) {
    const hex = [...bytes.subarray(at, at + 16)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    if (hex !== previous) lines.push(`${at.toString(16).padStart(8, '0')}  ${hex}`);
    else if (lines.at(-1) !== '*') lines.push('*');
    previous = hex;
  }
  return `${[...lines, bytes.length.toString(16).padStart(8, '0')].join('\n')}\n`;
}

function undump(text: string): Uint8Array {
  const lines = text.trim().split('\n');
  const bytes = new Uint8Array(Number.parseInt(lines.at(-1) ?? '', 16));
  for (const [i, line] of lines.entries()) {
    if (line === '*' || i === lines.length - 1) continue;
    const [at = '', ...hex] = line.split(/\s+/);
    const row = hex.map((byte) => Number.parseInt(byte, 16));
    const next = lines[i + 1] === '*' ? (lines[i + 2] ?? '') : '';
    const end = next ? Number.parseInt(next.split(/\s+/)[0] ?? '', 16) : Number.parseInt(at, 16) + row.length;
    for (let to = Number.parseInt(at, 16); to < end; to += row.length) bytes.set(row, to);
  }
  return bytes;
}

describe('the worked example of SPEC.md', () => {
  it('is the file that the writer makes of these tensors', async () => {
    const weight = Float32Array.from({ length: 64 }, (_, i) => ((i % 32) / 15.5 - 1) * (i < 32 ? 2 : 4));
    const file = await fileOf(
      {
        norm: tensor('f32', [2], Float32Array.of(1, -0.5)),
        w: quantizeTensor(tensor('f32', [2, 32], weight), { blockSize: 32 }),
      },
      { note: 'example' },
    );
    expect(hexdump(file)).toBe(blockAfter('## Worked example'));
  });

  it('reads as the values that it says', async () => {
    const file = await openQnat(bytesSource(undump(blockAfter('## Worked example'))));
    expect([...(await file.read('norm')).data]).toEqual([1, -0.5]);
    const { data } = await file.read('w');
    expect(bits([...data.subarray(0, 8), ...data.subarray(32, 40)] as number[])).toEqual(
      bits(numbersAfter('### Its values')),
    );
  });
});

describe('the tables of SPEC.md', () => {
  it('have the codebooks', () => {
    expect(bits(numbersAfter('### `nf4`'))).toEqual(bits(NF4_CODEBOOK));
    expect(bits(numbersAfter('### `fp4`'))).toEqual(bits(FP4_CODEBOOK));
  });

  it('have the dynamic map', () => {
    const positive = numbersAfter('### `dynamic8`');
    expect(positive.length).toBe(127);
    const map = Float32Array.of(...positive.map((value) => -value).reverse(), 0, ...positive, 1);
    expect(bits(map)).toEqual(bits(createDynamicMap()));
    expect(spec).toContain(`is \`${crc32(bytesOf(map)).toString(16)}\``);
  });

  it('have the element types and their sizes', () => {
    const rows = [...spec.matchAll(/^\| `([a-z0-9, `]+)` +\| (\d) +\|/gm)].flatMap(([, names = '', size]) =>
      names.split('`, `').map((name) => [name, Number(size)]),
    );
    expect(Object.fromEntries(rows)).toEqual(Object.fromEntries(DTYPES.map((d) => [d, elementSize(d)])));
  });

  it('have the check value of the checksum', () => {
    expect(crc32(new TextEncoder().encode('123456789')).toString(16)).toBe('cbf43926');
    expect(spec).toContain('`cbf43926`');
  });

  it('have the limits', () => {
    for (const limit of Object.values(LIMITS)) expect(spec).toContain(`${limit.toLocaleString('en')}`);
  });

  it('have every rule of the readers, and no other', () => {
    const listed = (heading: string, next: string) => {
      const part = spec.slice(spec.indexOf(heading), spec.indexOf(next, spec.indexOf(heading) + 1));
      return [...part.matchAll(/^\| `([a-z0-9-]+)` +\|/gm)].map((match) => match[1] ?? '').sort();
    };
    expect(listed('## What a reader refuses', '\n## ')).toEqual(rulesIn('reader', 'header', 'directory'));
    expect(listed('### What is refused in them', '\n## ')).toEqual(rulesIn('qlora-rs', 'cursor'));
  });
});
