// Real files made wrong, by chance and by seed: bytes changed blindly, and headers changed by someone who
// knows JSON and the format. A change of structure gives the header its right length again, most of the time,
// so that it is read to the end.
import type { Random } from '@qlora/tensor';
import { joined, jsonTokens, mutateBytes as mutateBlindly, pick, place } from '@qlora-tooling/fuzz';
import { FILE_DTYPES, fileDType } from '../dtypes';

/** Numbers at the edges of what readers hold, and what JSON has beside them. */
const NUMBERS = [
  '0',
  '1',
  '2',
  '3',
  '7',
  '8',
  '-1',
  '-0',
  '0.0',
  '1.5',
  '4e0',
  '1e2',
  '1e999',
  '00',
  '64',
  '255',
  '256',
  '65535',
  '65536',
  '2147483647',
  '2147483648',
  '4294967295',
  '4294967296',
  '9007199254740991',
  '9007199254740992',
  '9223372036854775807',
  '9223372036854775808',
  '18446744073709551615',
  '18446744073709551616',
  '99999999999999999999999999',
];
const VALUES = [
  'null',
  'true',
  'false',
  '""',
  '"a"',
  '[]',
  '{}',
  '[0]',
  '[0,0]',
  '[[]]',
  '{"a":"b"}',
  '"\\u0000"',
  '"\\ud800"',
  '"\\ud83d\\ude00"',
  '"__proto__"',
  '"__metadata__"',
  '"dtype"',
  '"shape"',
  '"data_offsets"',
  '"F32"',
  '"F16"',
  '"BF16"',
  '"U8"',
  '"BOOL"',
  '"F4"',
  '"F6_E2M3"',
  '"F8_E4M3"',
  '"F8_E8M0"',
  '"C64"',
  '"F64"',
  '"I64"',
  '"f32"',
  '"F31"',
  '"nf4"',
  '"fp4"',
];
const PUNCTUATION = ['{', '}', '[', ']', ',', ':', '"', '\\', ' ', '\t', '\n', '\0', '\ufeff', '/', "'"];
const BYTES = [0, 1, 0x20, 0x22, 0x5c, 0x7b, 0x7d, 0x7f, 0x80, 0xc0, 0xfe, 0xff];

const isNumber = (token: string) => /^[-\d]/.test(token);
const isString = (token: string) => token.startsWith('"');

/** JSON made wrong, or into other JSON, in one place. */
export function mutateJson(text: string, rng: Random): string {
  const tokens = jsonTokens(text);
  if (tokens.length === 0) return pick(rng, VALUES);
  const some = (test: (token: string) => boolean) => {
    const found = tokens.flatMap((token, i) => (test(token) ? [i] : []));
    return found.length > 0 ? pick(rng, found) : rng.integer(tokens.length);
  };
  const swap = (i: number, j: number) => {
    [tokens[i], tokens[j]] = [tokens[j] as string, tokens[i] as string];
  };
  switch (rng.integer(13)) {
    case 0: {
      // another digit
      const i = some(isNumber);
      const at = place(rng, tokens[i]?.length ?? 0);
      tokens[i] = `${tokens[i]?.slice(0, at)}${rng.integer(10)}${tokens[i]?.slice(at + 1)}`;
      break;
    }
    case 1: // another number
      tokens[some(isNumber)] = pick(rng, NUMBERS);
      break;
    case 2: {
      // a number that is nearly the same
      const i = some(isNumber);
      tokens[i] = String(Number(tokens[i]) + pick(rng, [-8, -4, -1, 1, 4, 8]));
      break;
    }
    case 3: // another value
      tokens[some((token) => isNumber(token) || isString(token))] = pick(
        rng,
        rng.integer(2) ? VALUES : NUMBERS,
      );
      break;
    case 4: // a name that is there already, or a field in another's place
      tokens[some(isString)] = tokens[some(isString)] as string;
      break;
    case 5:
      swap(some(isString), some(isString));
      break;
    case 6:
      swap(some(isNumber), some(isNumber));
      break;
    case 7: {
      // brackets
      const isBracket = (token: string) => '{}[]'.includes(token);
      if (rng.integer(2)) swap(some(isBracket), some(isBracket));
      else tokens[some(isBracket)] = pick(rng, PUNCTUATION);
      break;
    }
    case 8:
      tokens.splice(rng.integer(tokens.length), 1 + rng.integer(4));
      break;
    case 9:
      tokens.splice(rng.integer(tokens.length + 1), 0, pick(rng, pick(rng, [NUMBERS, VALUES, PUNCTUATION])));
      break;
    case 10: {
      // a part twice, or elsewhere: a key, a member, a whole tensor
      const from = some(isString);
      const part = tokens.slice(from, from + 1 + rng.integer(24));
      if (rng.integer(2)) tokens.splice(from, part.length);
      tokens.splice(rng.integer(tokens.length + 1), 0, ...part, ...(rng.integer(2) ? [','] : []));
      break;
    }
    case 11: {
      // one field more
      const i = some((token) => token === '}');
      tokens.splice(i, 0, `,${pick(rng, VALUES)}:${pick(rng, VALUES)}`);
      break;
    }
    default: {
      // nesting
      const depth = pick(rng, [2, 127, 129, 3000]);
      const [open, close] = pick(rng, [
        ['[', ']'],
        ['{"a":', '}'],
      ] as const);
      const i = some((token) => isNumber(token) || isString(token));
      tokens[i] = open.repeat(depth) + tokens[i] + close.repeat(depth);
    }
  }
  return tokens.join('');
}

/** Bytes changed without knowing what they are. */
export function mutateBytes(bytes: Uint8Array, rng: Random): Uint8Array {
  return mutateBlindly(bytes, rng, { bytes: BYTES });
}

/** A tensor of a file that is taken apart, with the offsets that it would have. */
interface Part {
  name: string;
  readonly fields: Record<string, unknown>;
  data: Uint8Array;
}

/**
 * Tensors changed, and the file made of them again, so that offsets and lengths fit but for what was changed.
 */
function mutateTensors(file: Uint8Array, rng: Random): Uint8Array {
  const { header, data } = split(file);
  let json: Record<string, { dtype?: unknown; shape?: unknown; data_offsets?: unknown }>;
  try {
    json = JSON.parse(new TextDecoder().decode(header));
  } catch {
    return mutateBytes(file, rng);
  }
  const { __metadata__: metadata, ...tensors } = typeof json === 'object' && json !== null ? json : {};
  const parts = Object.entries(tensors).map(([name, value]): Part => {
    const { data_offsets: offsets, ...fields } = typeof value === 'object' && value !== null ? value : {};
    const [begin, end] = Array.isArray(offsets) ? offsets : [];
    return { name, fields, data: data.subarray(Number(begin) || 0, Number(end) || 0) };
  });
  if (parts.length === 0) return mutateBytes(file, rng);
  const part = pick(rng, parts);
  const other = pick(rng, parts);
  const shape = Array.isArray(part.fields.shape) ? (part.fields.shape as unknown[]) : [];
  const shifted = new Map<Part, number>();
  switch (rng.integer(12)) {
    case 0: // gone, and its name with it
      parts.splice(parts.indexOf(part), 1);
      break;
    case 1:
      parts.push({ ...part, name: pick(rng, ['', '__proto__', '__metadata__', `${part.name}.absmax`, 'x']) });
      break;
    case 2:
      [part.name, other.name] = [other.name, part.name];
      break;
    case 3:
      [part.data, other.data] = [other.data, part.data];
      break;
    case 4: // a hole before it, or an overlap
      shifted.set(part, pick(rng, [-64, -8, -1, 1, 8, 64]));
      break;
    case 5: // another shape of as many values
      part.fields.shape = pick(rng, [
        [...shape].reverse(),
        [1, ...shape],
        [...shape, 1],
        [shape.reduce((a, b) => Number(a) * Number(b), 1)],
      ]);
      break;
    case 6:
      part.fields.shape = pick(rng, [
        [],
        [0, ...shape],
        [...shape, 0],
        [2, ...shape],
        shape.slice(1),
        Array(1 + rng.integer(1200)).fill(1),
        [2 ** 52, 2 ** rng.integer(20)],
        [2 ** 52, 2 ** 52, 0],
        [0, 2 ** 52, 2 ** 52],
      ]);
      break;
    case 7:
      part.fields.dtype = pick(rng, FILE_DTYPES);
      break;
    case 8: // another dtype, with data and shape to match
      Object.assign(part.fields, { dtype: pick(rng, FILE_DTYPES), shape: [16] });
      part.data = joined(part.data, new Uint8Array(128)).subarray(
        0,
        (16 * (fileDType(String(part.fields.dtype))?.bits ?? 8)) / 8,
      );
      break;
    case 9:
      delete part.fields[pick(rng, ['dtype', 'shape'])];
      break;
    default: {
      // what a tensor of text says, as bitsandbytes' states are
      const texts = parts.filter(({ data: bytes }) => bytes[0] === 0x7b);
      const target = texts.length > 0 ? pick(rng, texts) : part;
      const text = mutateJson(new TextDecoder().decode(target.data), rng);
      target.data = new TextEncoder().encode(text);
      target.fields.shape = [target.data.length];
    }
  }
  const entries: string[] = metadata === undefined ? [] : [`"__metadata__":${JSON.stringify(metadata)}`];
  let end = 0;
  for (const each of parts) {
    const begin = end + (shifted.get(each) ?? 0);
    end = begin + each.data.length;
    entries.push(
      `${JSON.stringify(each.name)}:${JSON.stringify({ ...each.fields, data_offsets: [begin, end] })}`,
    );
  }
  return join(
    new TextEncoder().encode(`{${entries.join(',')}}`),
    joined(...parts.map(({ data: bytes }) => bytes)),
  );
}

/** A safetensors file made wrong in one to three places. `others` lend their data. */
export function mutateFile(file: Uint8Array, rng: Random, others: readonly Uint8Array[]): Uint8Array {
  let result = file;
  for (let changes = 1 + rng.integer(3); changes > 0; changes--) result = mutateOnce(result, rng, others);
  return result;
}

function mutateOnce(file: Uint8Array, rng: Random, others: readonly Uint8Array[]): Uint8Array {
  const kind = rng.integer(12);
  if (kind < 2 || file.length < 8) return mutateBytes(file, rng);
  if (kind === 2) return withLength(file, rng);
  if (kind < 7) return mutateTensors(file, rng);
  const { header, data } = split(file);
  if (kind === 7) return join(mutateBytes(header, rng), data);
  if (kind === 8) {
    const lent = split(pick(rng, others)).data;
    return join(header, rng.integer(2) ? lent : mutateBytes(lent, rng));
  }
  // Text that is no UTF-8 any more after an earlier change comes out as replacement characters.
  return join(new TextEncoder().encode(mutateJson(new TextDecoder().decode(header), rng)), data);
}

/** Another length before the header. */
function withLength(file: Uint8Array, rng: Random): Uint8Array {
  const copy = file.slice();
  const view = new DataView(copy.buffer);
  const old = view.getBigUint64(0, true);
  const near = BigInt(pick(rng, [-8, -1, 1, 7, 8, 64]));
  const far = BigInt(
    pick(rng, [0, 1, 2, file.length, file.length - 8, 99_999_999, 100_000_000, 100_000_001]),
  );
  view.setBigUint64(0, pick(rng, [BigInt.asUintN(64, old + near), far, 1n << BigInt(rng.integer(64))]), true);
  return copy;
}

/** Header and data of a file, whatever its first bytes say. */
function split(file: Uint8Array): { header: Uint8Array; data: Uint8Array } {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const said = file.length < 8 ? 0n : view.getBigUint64(0, true);
  const end = 8 + (said > BigInt(file.length) ? Math.max(0, file.length - 8) : Number(said));
  return { header: file.subarray(8, end), data: file.subarray(end) };
}

function join(header: Uint8Array, data: Uint8Array): Uint8Array {
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true);
  return joined(length, header, data);
}
