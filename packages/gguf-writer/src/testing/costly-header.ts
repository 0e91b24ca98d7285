// Opens a file with a header at the limits that is made to take as much memory and time as can be; says how much that was. In a
// process of its own, so that its heap can be limited: `fuzz.slow.test.ts` runs it with the name of a kind.
import { bytesSource } from '@qlora/tensor';
import { GGUF_MAGIC } from '../container';
import { readGguf } from '../reader';
import { MAX_ENTRIES, MAX_HEADER, MAX_ITEMS, MAX_STRING, MAX_TENSORS } from '../rules';
import { VALUE_TYPES } from '../value';

const file = Buffer.alloc(MAX_HEADER);
let at = 0;
const u32 = (value: number) => {
  at = file.writeUInt32LE(value, at);
};
const u64 = (value: number | bigint) => {
  at = file.writeBigUInt64LE(BigInt(value), at);
};
const text = (content: string, encoding: 'latin1' | 'utf8' = 'latin1') => {
  const length = Buffer.byteLength(content, encoding);
  u64(length);
  file.write(content, at, encoding);
  at += length;
};
const head = (tensors: number, entries: number) => {
  u32(GGUF_MAGIC);
  u32(3);
  u64(tensors);
  u64(entries);
};
const array = (items: keyof typeof VALUE_TYPES, length: number) => {
  u32(VALUE_TYPES.array);
  u32(VALUE_TYPES[items]);
  u64(length);
};
const name = (number: number, length: number) => number.toString(36).padStart(length, '_');

const kinds: Record<string, () => void> = {
  /** As many strings as an array may have, all different. */
  strings() {
    head(0, 1);
    text('k');
    array('string', MAX_ITEMS);
    for (let i = 0; i < MAX_ITEMS; i++) text(name(i, 7));
  },
  /** As many large integers. */
  numbers() {
    head(0, 1);
    text('k');
    array('u64', MAX_ITEMS);
    for (let i = 0; i < MAX_ITEMS; i++) u64(2n ** 63n + BigInt(i));
  },
  /** As many entries as there may be, with names as long as there is room for. */
  entries() {
    head(0, MAX_ENTRIES);
    for (let i = 0; i < MAX_ENTRIES; i++) {
      text(name(i, 2000));
      u32(VALUE_TYPES.u64);
      u64(i);
    }
  },
  /** As many tensors as there may be, without values. */
  tensors() {
    head(MAX_TENSORS, 0);
    for (let i = 0; i < MAX_TENSORS; i++) {
      text(name(i, 63));
      u32(4);
      for (let axis = 0; axis < 4; axis++) u64(0);
      u32(0);
      u64(0);
    }
  },
  /** As much text as there may be, two bytes a character in JavaScript. */
  text() {
    head(0, 7);
    const content = `ā${'x'.repeat(MAX_STRING - 2)}`;
    for (let i = 0; i < 7; i++) {
      text(`k${i}`);
      u32(VALUE_TYPES.string);
      text(content, 'utf8');
    }
  },
};

const kind = process.argv[2] ?? '';
kinds[kind]?.();
const start = performance.now();
await readGguf(bytesSource(file));
const seconds = ((performance.now() - start) / 1000).toFixed(1);
const peak = (process.resourceUsage().maxRSS / 1e3).toFixed(0);
console.log(
  `${kind}: ${Math.round(at / 1e6)} MB of header in ${seconds} s, ${peak} MB resident at most, 134 of them the file`,
);
