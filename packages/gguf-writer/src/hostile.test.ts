// Files that lie: each is refused by the rule that it breaks, in words that say where, and with no more read or kept than there
// is; what only looks wrong is read. Rules and their lists are held together.
import { readFileSync } from 'node:fs';
import { type ByteSource, bytesSource, checkRange, QloraError } from '@qlora/tensor';
import { describe, expect, it } from 'vitest';
import { GGUF_RULES, readGguf, readGgufParts } from './index';
import { IMATRIX_RULES, MAX_ENTRIES, MAX_HEADER, MAX_ITEMS, MAX_KEY, MAX_STRING, MAX_TENSORS } from './rules';
import { brokenFiles } from './testing/broken-files';
import { type Forged, forged, forgedEntry, headerOf, takenApart } from './testing/forge';
import { intactFile } from './testing/forge-edits';
import { oddFiles } from './testing/odd-files';
import { tinyParts } from './testing/tiny-files';
import { type TinyModel, tinyModels } from './testing/tiny-models';

async function refusalOf(body: () => Promise<unknown>): Promise<QloraError> {
  const error = await body().catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(QloraError);
  return error as QloraError;
}

/** A source that says it has `size` bytes, zeros after those that it has, and counts what is read of it. */
function claiming(bytes: Uint8Array, size: number): ByteSource & { readonly reads: { total: number } } {
  const reads = { total: 0 };
  return {
    label: 'claiming.gguf',
    size,
    reads,
    async read(offset, length) {
      checkRange('claiming.gguf', size, offset, length);
      reads.total += length;
      const copy = new Uint8Array(length);
      copy.set(bytes.subarray(offset, offset + length));
      return copy;
    },
    async close() {},
  };
}

describe('a file that breaks a rule is refused by its name', () => {
  it.each(brokenFiles.map((file) => [file.rule, file.name, file] as const))(
    '%s: %s',
    async (rule, _, file) => {
      const { bytes } = file;
      const source = claiming(bytes, bytes.length);
      const error = await refusalOf(() => readGguf(source));
      expect([error.rule, error.message]).toEqual([`gguf/${rule}`, expect.stringContaining(file.says)]);
      expect(error.message).toMatch(/^claiming\.gguf: /);
      expect(error.message.length).toBeLessThan(400);
      // A header is read in pieces, each eight times as long as the one before, or to the file's end or the limit.
      expect(source.reads.total).toBeLessThanOrEqual(bytes.length + Math.min(bytes.length, 2 ** 27) / 1.8);
    },
  );

  it('with names of their own, sixty and more', () => {
    expect(new Set(brokenFiles.map(({ name }) => name)).size).toBe(brokenFiles.length);
    expect(brokenFiles.length).toBeGreaterThan(60);
  });

  it('wherever its header is cut', async () => {
    const header = headerOf(await takenApart(intactFile));
    const rules = new Set<string | undefined>();
    for (let length = 0; length < header.length; length += length < 3000 ? 1 : 97) {
      const error = await refusalOf(() => readGguf(bytesSource(header.subarray(0, length))));
      rules.add(error.rule);
    }
    expect([...rules].sort()).toEqual(['gguf/count', 'gguf/string-length', 'gguf/truncated']);
  });
});

describe('what only looks wrong is read', () => {
  it.each(oddFiles.map((file) => [file.name, file] as const))('%s', async (_, { bytes }) => {
    const file = await readGguf(bytesSource(bytes));
    for (const { name, byteLength, type, shape } of file.tensors) {
      expect((await file.readBytes(name)).length).toBe(byteLength);
      if (type) expect((await file.read(name)).shape).toEqual(shape);
    }
  });

  it('but a type that is not decoded here is refused when it is read', async () => {
    const bytes = oddFiles.find(({ name }) => name === 'a type that is not decoded here')?.bytes;
    const file = await readGguf(bytesSource(bytes as Uint8Array, 'odd.gguf'));
    const error = await refusalOf(() => file.read('output_norm.weight'));
    expect(error.rule).toBe('gguf/undecodable');
    expect(error.message).toContain('odd.gguf: output_norm.weight: is of ggml type i8');
  });

  it('and names that steer a terminal do not reach it', async () => {
    const bytes = oddFiles.find(({ name }) => name === 'a tensor name that steers a terminal')?.bytes;
    const file = await readGguf(bytesSource(bytes as Uint8Array));
    expect(file.tensors.at(-1)?.name).toBe('a\n\x1b[2J\u202e');
    const cut = bytesSource((bytes as Uint8Array).subarray(0, -1));
    expect((await refusalOf(() => readGguf(cut))).message).toContain(
      '"a\\u{a}\\u{1b}[2J\\u{202e}": its data',
    );
  });
});

describe('a file that says it is huge', () => {
  const size = 2 ** 50;
  const small = takenApart(intactFile);
  const cases: [rule: string, name: string, most: number, change: (file: Forged) => void][] = [
    ['too-many', '2^40 tensors', 2 ** 20, (file) => void Object.assign(file, { tensorCount: 2n ** 40n })],
    ['too-many', '2^40 entries', 2 ** 20, (file) => void Object.assign(file, { metadataCount: 2n ** 40n })],
    [
      'string-limit',
      'a key of 2^40 bytes',
      2 ** 20,
      ({ entries }) => void Object.assign(entries[3]?.key ?? {}, { length: 2n ** 40n }),
    ],
    [
      'name-length',
      'a tensor name of 2^40 bytes',
      2 ** 20,
      ({ tensors }) => void Object.assign(tensors[3]?.name ?? {}, { length: 2n ** 40n }),
    ],
    // The zeros after it are taken for more entries, and the first of them has an empty key.
    [
      'empty-key',
      'one entry more',
      2 ** 20,
      (file) => {
        Object.assign(file, { tensors: [], tensorCount: 0n, metadataCount: file.metadataCount + 1n });
      },
    ],
    // The header is read on, to the end of its longest string.
    [
      'empty-key',
      'a text of 16 MB and one entry more',
      80 * 2 ** 20,
      (file) => {
        Object.assign(file, { tensors: [], tensorCount: 0n });
        const entry = forgedEntry('x', { type: 'string', value: '' });
        new DataView(entry.value.buffer).setBigUint64(4, 2n ** 24n, true);
        file.entries.push(entry);
        file.metadataCount += 2n;
      },
    ],
  ];
  it.each(cases)('%s: %s, is refused before much of it is read', async (rule, _, most, change) => {
    const file = await small;
    const copy = { ...file, entries: file.entries.map((entry) => ({ ...entry, key: { ...entry.key } })) };
    copy.tensors = file.tensors.map((tensor) => ({ ...tensor, name: { ...tensor.name } }));
    change(copy);
    const source = claiming(forged(copy), size);
    expect((await refusalOf(() => readGguf(source))).rule).toBe(`gguf/${rule}`);
    expect(source.reads.total).toBeLessThanOrEqual(most);
  });
});

describe('files of a split that lie', () => {
  const files = tinyParts(tinyModels[0] as TinyModel, 'q8_0', 50_000);
  /** The parts with the value of a key changed in one of them. */
  const changed = async (index: number, key: string, value: Parameters<typeof forgedEntry>[1] | undefined) =>
    Promise.all(
      (await files).map(async ({ name, bytes }, i) => {
        if (i !== index) return bytesSource(bytes, name);
        const file = await takenApart(bytes);
        const place = file.entries.findIndex((entry) => new TextDecoder().decode(entry.key.bytes) === key);
        expect(place).toBeGreaterThanOrEqual(0);
        file.entries.splice(place, 1, ...(value ? [forgedEntry(key, value)] : []));
        file.metadataCount = BigInt(file.entries.length);
        return bytesSource(forged(file), name);
      }),
    );
  const cases: [
    rule: string,
    says: string,
    index: number,
    key: string,
    value: Parameters<typeof changed>[2],
  ][] = [
    ['split-type', '00001-of-00004.gguf: split.no: is u32', 0, 'split.no', { type: 'u32', value: 0 }],
    ['split-type', 'split.count: is string. U16', 2, 'split.count', { type: 'string', value: '4' }],
    ['split-type', 'split.tensors.count: is u64', 1, 'split.tensors.count', { type: 'u64', value: 21n }],
    ['split-number', 'is part 2 of 4, part 1 of 4', 0, 'split.no', { type: 'u16', value: 1 }],
    ['split-number', 'is part 1 of 4, part 2 of 4', 1, 'split.no', undefined],
    ['split-number', 'is part 4 of 65535', 3, 'split.count', { type: 'u16', value: 65_535 }],
    ['split-number', 'is part 1 of 0', 0, 'split.count', { type: 'u16', value: 0 }],
    ['split-tensors', 'there are -1 tensors', 0, 'split.tensors.count', { type: 'i32', value: -1 }],
    ['split-tensors', 'there are any number of', 0, 'split.tensors.count', undefined],
  ];
  it.each(cases)('%s: %s', async (rule, says, index, key, value) => {
    const parts = await changed(index, key, value);
    const error = await refusalOf(() => readGgufParts(parts));
    expect([error.rule, error.message]).toEqual([`gguf/${rule}`, expect.stringContaining(says)]);
  });

  it('duplicate-tensor: one that is in two of them', async () => {
    const [a, b, ...rest] = await files;
    const file = await takenApart(b?.bytes ?? new Uint8Array());
    const twice = (await takenApart(a?.bytes ?? new Uint8Array())).tensors[0]?.name;
    Object.assign(file.tensors[0] ?? {}, { name: twice });
    const all = [a?.bytes, forged(file), ...rest.map(({ bytes }) => bytes)];
    const error = await refusalOf(() =>
      readGgufParts(all.map((bytes, i) => bytesSource(bytes ?? new Uint8Array(), `${i}`))),
    );
    expect([error.rule, error.message]).toEqual([
      'gguf/duplicate-tensor',
      expect.stringContaining('1: output.weight: is in two parts'),
    ]);
  });
});

describe('other readers on the same files, by tooling/conformance/llama-cpp/readers.py', () => {
  type Row = Readonly<Record<string, string>>;
  const golden = new URL('goldens/readers.json', import.meta.url);
  const { files } = JSON.parse(readFileSync(golden, 'utf8')) as { files: Readonly<Record<string, Row>> };
  const rows = Object.entries(files);

  it('saw these files, and ours as it is', () => {
    const ours = [
      ...brokenFiles.map(({ name, rule }) => [name, `gguf/${rule}`]),
      ...oddFiles.map(({ name }) => [name, 'accepts']),
    ];
    expect(rows.map(([name, row]) => [name, row.ours])).toEqual(ours);
  });

  it('refuse nothing that ours accepts, as far as gguf.cpp goes', () => {
    const lenient = rows.filter(([, row]) => row.ours === 'accepts' && row['gguf.cpp'] !== 'accepts');
    expect(lenient).toEqual([]);
  });

  it('say of each rule what GGUF_RULES says that gguf.cpp does', () => {
    for (const [rule, verdicts] of Object.entries(GGUF_RULES)) {
      const found = rows.flatMap(([, row]) => (row.ours === `gguf/${rule}` ? [row['gguf.cpp']] : []));
      expect([rule, [...new Set(found)].sort()]).toEqual([
        rule,
        verdicts.filter((verdict) => verdict !== 'elsewhere').sort(),
      ]);
    }
  });

  it('come to the figures of the README', () => {
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    const count = (reader: string, broken: boolean, verdict: string) =>
      rows.filter(([, row]) => (row.ours !== 'accepts') === broken && row[reader] === verdict).length;
    for (const reader of ['gguf.cpp', 'llama.cpp', 'gguf-py', '@huggingface/gguf', 'node-llama-cpp']) {
      const figures = ['refuses', 'accepts', 'crashes', 'hangs'].map((verdict) =>
        count(reader, true, verdict),
      );
      const row = [...figures, count(reader, false, 'accepts')].join(' | ');
      const line = readme.split('\n').find((one) => one.startsWith(`| \`${reader}\` `) && /\d \|$/.test(one));
      expect(line).toMatch(new RegExp(`\\| ${row.replaceAll('|', '\\|')} \\|`));
    }
    expect(readme).toContain(`${brokenFiles.length} broken files`);
    expect(readme).toContain(`${oddFiles.length} that only look wrong`);
  });
});

describe('the lists of rules', () => {
  const text = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');
  const rulesIn = (...names: string[]) => {
    const found = names.flatMap((name) => [...text(name).matchAll(/refuse\(\s*'([a-z0-9-]+)'/g)]);
    return [...new Set(found.map((match) => match[1]))].sort();
  };
  const readme = text('../README.md');
  const listed = (heading: string) => {
    const start = readme.indexOf(heading);
    const part = readme.slice(start, readme.indexOf('\n#', start + 1));
    return [...part.matchAll(/^\| `([a-z0-9-]+)` +\|/gm)].map((match) => match[1]).sort();
  };

  it('have what the sources refuse by, and the README too', () => {
    expect(rulesIn('header-parser.ts', 'reader.ts', 'split.ts')).toEqual(Object.keys(GGUF_RULES).sort());
    expect(listed('## What is refused')).toEqual(Object.keys(GGUF_RULES).sort());
    // importanceOf has no file, and so no `refuse`.
    expect(rulesIn('imatrix.ts', 'imatrix-dat.ts', 'imatrix-rules.ts')).toEqual(
      IMATRIX_RULES.filter((rule) => rule !== 'columns').sort(),
    );
    expect(listed('### In importance matrices')).toEqual([...IMATRIX_RULES].sort());
  });

  it('have the limits that the README says', () => {
    const spaced = (count: number) => count.toLocaleString('en').replaceAll(',', ' ');
    for (const limit of [MAX_ENTRIES, MAX_TENSORS, MAX_ITEMS, MAX_KEY])
      expect(readme).toContain(spaced(limit));
    expect(readme).toContain(`the header has at most ${MAX_HEADER / 2 ** 20} MB`);
    expect(readme).toContain(`a text ${MAX_STRING / 2 ** 20} MB`);
  });

  it('have a broken file for every rule of one file', () => {
    const elsewhere = Object.entries(GGUF_RULES).flatMap(([rule, verdicts]) =>
      (verdicts as readonly string[]).includes('elsewhere') ? [rule] : [],
    );
    const rules = new Set<string>([...brokenFiles.map(({ rule }) => rule), ...elsewhere]);
    expect([...rules].sort()).toEqual(Object.keys(GGUF_RULES).sort());
  });
});
