// GGUF files made wrong by chance and by seed: bytes changed blindly, and files changed by someone who knows the format, with
// offsets and counts made right again some of the time, so that they are read to the end.
import type { Random } from '@qlora/tensor';
import { joined, mutateBytes as mutateBlindly, pick, place } from '@qlora-tooling/fuzz';
import { copyOf, type Forged, type ForgedTensor, forged, forgedText, u32, u64 } from './forge';

/** Numbers at the edges of what readers hold. */
const NUMBERS: readonly bigint[] = [
  ...[0n, 1n, 2n, 3n, 4n, 5n, 7n, 8n, 9n, 12n, 13n, 31n, 32n, 33n, 63n, 64n, 65n, 255n, 256n, 1024n],
  ...[16n, 20n, 24n, 31n, 32n, 40n, 52n, 53n, 59n, 60n, 61n, 62n, 63n, 64n].flatMap((bits) => [
    (1n << bits) - 1n,
    1n << bits,
    (1n << bits) + 1n,
  ]),
];
const LENGTHS: readonly bigint[] = [0n, 1n, 2n, 3n, 16n, 32n, 64n, 256n, ...NUMBERS];
const BYTES = [0, 1, 2, 9, 0x7f, 0x80, 0xfe, 0xff];
const NAMES = [
  '',
  'a',
  '__proto__',
  'general.alignment',
  'split.no',
  'ä\0',
  'n'.repeat(64),
  'a.in_sum2',
  'a.counts',
];

/** Bytes changed without knowing what they are; half of the time in the head, where the counts are. */
export function mutateBytes(bytes: Uint8Array, rng: Random): Uint8Array {
  return mutateBlindly(bytes, rng, { bytes: BYTES, numbers: NUMBERS, head: 200 });
}

/** Changes one thing of what a file says. */
function mutateOnce(file: Forged, rng: Random): void {
  const { entries, tensors } = file;
  const entry = entries.length > 0 ? pick(rng, entries) : undefined;
  const tensor = tensors.length > 0 ? pick(rng, tensors) : undefined;
  const near = (value: bigint) => value + BigInt(pick(rng, [-32, -8, -1, 1, 8, 32]));
  switch (rng.integer(18)) {
    case 0:
      file.version = pick(rng, [0, 1, 2, 3, 4, 0x03000000]);
      break;
    case 1:
      file.tensorCount = pick(rng, [near(file.tensorCount), pick(rng, NUMBERS)]);
      break;
    case 2:
      file.metadataCount = pick(rng, [near(file.metadataCount), pick(rng, NUMBERS)]);
      break;
    case 3:
      if (entry) entry.key = forgedText(pick(rng, NAMES));
      break;
    case 4:
      if (entry)
        entry.key = { ...entry.key, length: pick(rng, [near(entry.key.length), pick(rng, NUMBERS)]) };
      break;
    case 5: // another type of value, or of items
      if (entry) {
        const value = entry.value.slice();
        const at = value[0] === 9 && rng.integer(2) ? 4 : 0;
        if (value.length >= at + 4) value.set(u32(rng.integer(15)), at);
        entry.value = value;
      }
      break;
    case 6: // the length of a string or an array
      if (entry && entry.value.length >= 16) {
        const value = entry.value.slice();
        value.set(u64(pick(rng, NUMBERS)), value[0] === 9 ? 8 : 4);
        entry.value = value;
      }
      break;
    case 7:
      if (entry) entry.value = mutateBytes(entry.value, rng);
      break;
    case 8: // an entry twice, gone, or elsewhere
      if (entry) {
        const at = entries.indexOf(entry);
        if (rng.integer(2)) entries.splice(at, 1);
        if (rng.integer(2)) entries.splice(place(rng, entries.length + 1), 0, entry);
        if (rng.integer(2)) file.metadataCount = BigInt(entries.length);
      }
      break;
    case 9:
      entries.push({
        key: forgedText('general.alignment'),
        value: joined(u32(4), u32(pick(rng, [0, 1, 8, 48, 64, 2 ** 31]))),
      });
      file.metadataCount += 1n;
      break;
    case 10:
      if (tensor) tensor.name = forgedText(pick(rng, NAMES));
      break;
    case 11:
      if (tensor) tensor.name = pick(rng, tensors).name;
      break;
    case 12: // other lengths
      if (tensor) {
        tensor.lengths = Array.from({ length: rng.integer(6) }, () => pick(rng, LENGTHS));
        tensor.axes = pick(rng, [tensor.lengths.length, tensor.axes, rng.integer(6), 0xffffffff]);
      }
      break;
    case 13: // another type, with as many bytes or not
      if (tensor) tensor.type = pick(rng, [rng.integer(45), 0xffffffff]);
      break;
    case 14:
      if (tensor) tensor.offset = pick(rng, [near(tensor.offset), pick(rng, NUMBERS)]);
      break;
    case 15: // a tensor twice, gone, or elsewhere
      if (tensor) {
        const at = tensors.indexOf(tensor);
        if (rng.integer(2)) tensors.splice(at, 1);
        if (rng.integer(2)) tensors.splice(place(rng, tensors.length + 1), 0, { ...tensor });
        if (rng.integer(2)) file.tensorCount = BigInt(tensors.length);
      }
      break;
    case 16:
      if (tensor) tensor.data = mutateBytes(tensor.data, rng);
      break;
    default: // one length more or less than there was
      if (tensor && tensor.lengths.length > 0) {
        const lengths = [...tensor.lengths];
        const at = rng.integer(lengths.length);
        lengths[at] = pick(rng, [
          near(lengths[at] as bigint),
          0n,
          2n * (lengths[at] as bigint),
          pick(rng, NUMBERS),
        ]);
        tensor.lengths = lengths;
      }
  }
}

/** Offsets as a writer would have them, whatever the lengths say. */
function placed(tensors: readonly ForgedTensor[], alignment: number): void {
  let end = 0;
  for (const tensor of tensors) {
    tensor.offset = BigInt(end);
    end += Math.ceil(tensor.data.length / alignment) * alignment;
  }
}

/** A file made wrong in one to three places. */
export function mutateFile(bytes: Uint8Array, file: Forged, rng: Random): Uint8Array {
  if (rng.integer(4) === 0) {
    let result = bytes;
    for (let changes = 1 + rng.integer(3); changes > 0; changes--) result = mutateBytes(result, rng);
    return result;
  }
  const copy = copyOf(file);
  for (let changes = 1 + rng.integer(3); changes > 0; changes--) mutateOnce(copy, rng);
  if (rng.integer(2)) placed(copy.tensors, copy.alignment);
  const result = forged(copy);
  return rng.integer(8) === 0 ? mutateBytes(result, rng) : result;
}
