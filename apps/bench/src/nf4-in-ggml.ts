// Which ggml type carries NF4 weights with the least extra loss? Prints the table that is in the README of
// @qlora/ggml-blocks. In apps/bench: `node --conditions=@qlora/source --import tsx src/nf4-in-ggml.ts`
//
// A weight that was quantized to NF4 has sixteen values a block of 64, not evenly spaced. What a GGUF file of it loses is
// measured against those values: the model was trained on them. Beside it the same with a LoRA adapter merged, which moves
// every value a little off the grid, and with plain f32 scales instead of double-quantized ones.
import { type BlockType, blockTypes } from '@qlora/ggml-blocks';
import { dequantizeTensor, quantizeTensor } from '@qlora/quant-strategies';
import { random, tensor } from '@qlora/tensor';
import { bitsOf, decibels, squaredError } from './block-loss';
import { normals } from './data';

const SIDE = 2048;
const RANK = 16;
/** Root mean square of an adapter's change, as a share of the weights'. */
const CHANGE = 0.05;

function nf4(weights: Float32Array, doubleQuant: boolean): Float32Array {
  const source = tensor('f32', [SIDE, SIDE], weights);
  return dequantizeTensor(quantizeTensor(source, { scheme: 'nf4', blockSize: 64, doubleQuant }));
}

/** The values and B · A of rank 16, with random A and B. */
function withAdapter(values: Float32Array): Float32Array {
  const rng = random(7);
  const [a, b] = [0, 1].map(() => Float32Array.from({ length: RANK * SIDE }, () => rng.normal()));
  const scale = (0.02 * CHANGE) / Math.sqrt(RANK);
  return values.map((value, i) => {
    const [row, column] = [Math.floor(i / SIDE), i % SIDE];
    let sum = 0;
    for (let r = 0; r < RANK; r++) sum += b![row * RANK + r]! * a![r * SIDE + column]!;
    return value + scale * sum;
  });
}

const weights = normals(SIDE * SIDE, 1);
const double = nf4(weights, true);
const plain = nf4(weights, false);
const merged = withAdapter(double);
const ownError = squaredError(double, weights);

/** Three digits at most, without an exponent. */
const short = (number: number) => String(Number(number.toPrecision(number < 10 ? 2 : 3)));

/** The row of a type in the table. */
function row(type: BlockType): string {
  const carried = (values: Float32Array) => type.decode(type.encode(values));
  const loss = (values: Float32Array) => decibels(values, squaredError(carried(values), values)).toFixed(1);
  const decoded = carried(double);
  const share = squaredError(decoded, double) / ownError;
  const cells = [
    `\`${type.name}\``,
    String(Number(bitsOf(type).toFixed(2))),
    loss(double),
    `${short(100 * share)} %`,
    loss(plain),
    loss(merged),
    loss(weights),
    decibels(weights, squaredError(decoded, weights)).toFixed(1),
  ];
  return `| ${cells.join(' | ')} |`;
}

console.log(`NF4 carries the weights themselves at ${decibels(weights, ownError).toFixed(1)} dB.\n`);
console.log(
  "| type | bits | NF4 weights, dB | share of NF4's error | plain scales | merged | f32 weights | after both |",
);
console.log('|---|---|---|---|---|---|---|---|');
const types = [...blockTypes.values()].filter((type) => type.name !== 'f32');
for (const type of types.sort((a, b) => bitsOf(a) - bitsOf(b))) console.log(row(type));
