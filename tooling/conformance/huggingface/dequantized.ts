// The packages' side of checkpoints.py: reads the 4-bit weights of the folders and files that are its
// arguments, whole and in parts, and prints what they stand for, in the type that they were quantized from:
// shape, type and SHA-256 of the bytes.
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { dequantizeToTensor } from '@qlora/quant-strategies';
import { bitsandbytesSource, parseQuantizationConfig } from '@qlora/safetensors';
import { openSafetensorsFile, openSafetensorsFolder } from '@qlora/safetensors/node';
import { bytesOf, elementCount, fromFloat32, type Tensor } from '@qlora/tensor';

const PART = 100;

/** What is printed of a weight, as checkpoints.py has it. */
function described({ dtype, shape, data }: Tensor): string {
  const hash = createHash('sha256').update(bytesOf(data)).digest('hex').slice(0, 16);
  return `${dtype} [${shape.join(', ')}] ${hash}`;
}

async function read(path: string): Promise<Record<string, string>> {
  const isFolder = statSync(path).isDirectory();
  if (isFolder) {
    const config = JSON.parse(readFileSync(join(path, 'config.json'), 'utf8'));
    if (!parseQuantizationConfig(config.quantization_config)) throw new Error(`${path} is not in 4 bits`);
  }
  const source = await bitsandbytesSource(
    await (isFolder ? openSafetensorsFolder : openSafetensorsFile)(path),
  );
  const weights: Record<string, string> = {};
  for (const [name, { shape, dtype }] of [...source.quantized].sort()) {
    weights[name] = described(dequantizeToTensor(await source.readQuantized(name)));
    const count = elementCount(shape);
    const values = new Float32Array(count);
    for (let start = 0; start < count; start += PART) {
      const part = await source.readRange(name, start, Math.min(PART, count - start));
      values.set(part.data as Float32Array, start);
    }
    if (described(fromFloat32(dtype, shape, values)) !== weights[name])
      throw new Error(`${path}: ${name} is another in parts`);
  }
  await source.close();
  return weights;
}

const result: Record<string, Record<string, string>> = {};
for (const path of process.argv.slice(2)) result[path] = await read(path);
console.log(JSON.stringify(result));
