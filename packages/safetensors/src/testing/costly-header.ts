// Opens a file with a header of the largest size that is made to take as much memory and time as can be; says
// how much that was. In a process of its own, so that its heap can be limited: `fuzz.slow.test.ts` runs it
// with the name of a kind.
import { bytesSource } from '@qlora/tensor';
import { MAX_AXES, MAX_HEADER_BYTES } from '../header';
import { openSafetensors } from '../reader';

const file = Buffer.alloc(8 + MAX_HEADER_BYTES, ' ');
file.writeBigUInt64LE(BigInt(MAX_HEADER_BYTES));
const room = 2 * MAX_AXES + 100;
let at = 8;

function put(text: string): void {
  at += file.write(text, at, 'latin1');
}

/** Fills the header but for the last bytes, with texts that depend on their number. */
function fill(text: (number: number) => string): void {
  for (let number = 0; at < file.length - room; number++) put(text(number));
}

const entry = (number: number, shape: string) =>
  `${number === 0 ? '' : ','}"${number.toString(36)}":{"dtype":"U8","shape":[${shape}],"data_offsets":[0,0]}`;
const last = '":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}';
const axes = Array(MAX_AXES).fill('0').join();

const kinds: Record<string, () => void> = {
  /** As many tensors as there is room for. */
  tensors: () => fill((number) => entry(number, '0')),
  /** As many axes as there is room for. */
  axes: () => fill((number) => entry(number, axes)),
  /** One name. */
  name: () => {
    put('"');
    fill(() => 'x'.repeat(1000));
    put(last);
  },
  /** One name, all of it escaped. */
  escapes: () => {
    put('"');
    fill(() => '\\u00e9');
    put(last);
  },
  /** Nothing but whitespace. */
  spaces: () => {},
};

const kind = process.argv[2] ?? '';
put('{');
kinds[kind]?.();
put('}');

const start = performance.now();
const { tensors } = await openSafetensors(bytesSource(file));
const seconds = ((performance.now() - start) / 1000).toFixed(1);
const peak = (process.resourceUsage().maxRSS / 1000).toFixed(0);
console.log(
  `${kind}: ${tensors.length} tensors in ${seconds} s, ${peak} MB resident at most, 108 of them the file`,
);
