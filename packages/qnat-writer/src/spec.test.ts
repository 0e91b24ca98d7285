// SPEC.md says what the code does: its worked example, its tables, its list of rules.
import { readFileSync } from 'node:fs';
import { createDynamicMap } from '@qlora/double-quant';
import { FP4_CODEBOOK, NF4_CODEBOOK } from '@qlora/nf4';
import { codecNames, quantizeTensor } from '@qlora/quant-strategies';
import { bytesOf, bytesSource, DTYPES, elementSize, tensor } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { crc32 } from './header';
import {
  ALIGNMENT,
  FLAGS,
  HEADER_BYTES,
  LIMITS,
  NESTED_BLOCK_SIZE,
  NESTED_MAP,
  QNAT_DIALECT,
  QNAT_STRATEGIES,
  QNAT_VERSION,
  SECTIONS,
} from './layout';
import { qnatModelMetadata } from './model-files';
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
    // As decimal numbers, then as bits.
    for (const [scheme, codebook] of Object.entries({ nf4: NF4_CODEBOOK, fp4: FP4_CODEBOOK })) {
      expect(bits(numbersAfter(`### \`${scheme}\``))).toEqual(bits(codebook));
      const words = blockAfter(`The same 16 values of \`${scheme}\``).trim().split(/\s+/);
      expect(words.map((word) => Number.parseInt(word, 16))).toEqual(bits(codebook));
    }
    expect(Object.keys({ nf4: 0, fp4: 0 }).sort()).toEqual(codecNames().sort());
  });

  it('have the dynamic map', () => {
    const positive = numbersAfter('### `dynamic8`');
    expect(positive.length).toBe(127);
    const map = Float32Array.of(...positive.map((value) => -value).reverse(), 0, ...positive, 1);
    expect(bits(map)).toEqual(bits(createDynamicMap()));
    expect(spec).toContain(`is \`${crc32(bytesOf(map)).toString(16)}\``);
  });

  it('have the formula of the dynamic map, which gives the same 256 values', () => {
    // Word for word what the section says.
    const f = Math.fround;
    const values = [0, 1];
    for (let i = 0; i <= 6; i++) {
      const m = 2 ** i;
      const step = f(f(1 - f(0.1)) / m);
      const bound = (j: number) =>
        j < Math.floor((m + 1) / 2) ? f(f(0.1) + step * j) : f(1 - step * (m - j));
      for (let j = 0; j < m; j++) {
        const value = f(f(10 ** (i - 6)) * f(f(bound(j) + bound(j + 1)) / 2));
        values.push(value, -value);
      }
    }
    expect(bits(values.sort((a, b) => a - b))).toEqual(bits(createDynamicMap()));
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

  it('have the keys of a model that is exported, and no other', () => {
    const object = {};
    const files = {
      tokenizer: object,
      tokenizerConfig: object,
      addedTokens: object,
      generationConfig: object,
    };
    const all = { ...files, config: object, chatTemplate: '', sentencePiece: new Uint8Array(1) };
    const part = spec.slice(spec.indexOf('### Metadata'), spec.indexOf('### Entries'));
    const listed = [...part.matchAll(/^\| `([a-z_]+)` +\|/gm)].map((match) => match[1]);
    expect(listed.sort()).toEqual(Object.keys(qnatModelMetadata(all)).sort());
  });

  it('have the sections, the strategies and the fields of entries', async () => {
    const column = (from: string, to: string) =>
      [...spec.slice(spec.indexOf(from), spec.indexOf(to)).matchAll(/^\| `([a-z_0-9]+)` +\|/gm)].map(
        (m) => m[1],
      );
    expect(column('### Sections', '## Quantized tensors')).toEqual([...SECTIONS]);
    for (const strategy of QNAT_STRATEGIES) expect(spec).toContain(`\`${strategy}\``);
    const options = { strategy: 'per-channel' } as const;
    const tensors = { w: quantizeTensor(tensor('f32', [2, 2], new Float32Array(4)), options) };
    const blocks = { v: quantizeTensor(tensor('f32', [4], new Float32Array(4))) };
    const file = new TextDecoder().decode((await fileOf({ ...tensors, ...blocks })).subarray(64));
    const { tensors: entries } = JSON.parse(file.slice(0, file.indexOf('}]}') + 3)) as { tensors: object[] };
    const written = new Set(entries.flatMap((entry) => Object.keys(entry)));
    expect(column('### Entries', '| `dtype`                     |').sort()).toEqual([...written].sort());
  });

  it('have the numbers of the format', () => {
    expect(spec).toContain(`align(n)\` is the next multiple of ${ALIGNMENT}`);
    expect(spec).toMatch(new RegExp(`\\| header +\\| 0 +\\| ${HEADER_BYTES} `));
    expect(spec).toMatch(new RegExp(`\\| version: ${QNAT_VERSION} `));
    expect(spec).toMatch(new RegExp(`\\| dialect: ${QNAT_DIALECT} `));
    expect(spec).toContain(`\`nested_block_size\` | ${NESTED_BLOCK_SIZE}; only`);
    expect(spec).toContain(`\`${NESTED_MAP}\`; only`);
    expect(FLAGS).toEqual({ quantized: 1, doubleQuant: 2, zeroPoints: 4 });
    expect(spec).toContain(
      'bit 0, a quantized tensor; bit 1, one with double quantization; bit 2, one with zero points',
    );
  });

  it('have every rule of the readers, and no other', () => {
    const listed = (heading: string, next: string) => {
      const part = spec.slice(spec.indexOf(heading), spec.indexOf(next, spec.indexOf(heading) + 1));
      return [...part.matchAll(/^\| `([a-z0-9-]+)` +\|/gm)].map((match) => match[1] ?? '').sort();
    };
    expect(listed('## What a reader refuses', '\n## ')).toEqual(
      rulesIn('reader', 'header', 'directory', 'json-scan', 'model-files'),
    );
    expect(listed('### What is refused in them', '\n## ')).toEqual(rulesIn('qlora-rs', 'cursor'));
  });
});
