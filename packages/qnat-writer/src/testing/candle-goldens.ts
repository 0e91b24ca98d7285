// The goldens of the reader in Rust: the sample files, and what our reader makes of each tensor, as hexadecimal digits of
// its bytes (decoded to f32 if it is quantized, widened to f32 if it is f16 or bf16).
// `node tooling/conformance/qnat/run.mjs --write` writes them to examples/candle/goldens.
import { bytesOf, bytesSource, toFloat32 } from '@qlora/tensor';
import { openQnat } from '../reader';
import { largerFiles, sampleFiles } from './samples';

/** The goldens by file name. */
export async function candleGoldens(): Promise<Map<string, Uint8Array>> {
  const goldens = new Map<string, Uint8Array>();
  const expected: Record<string, unknown> = {};
  for (const [name, bytes] of [...(await sampleFiles()), ...(await largerFiles())]) {
    goldens.set(`${name}.qnat`, bytes);
    const file = await openQnat(bytesSource(bytes, name));
    const values: Record<string, unknown> = {};
    for (const info of file.tensors) {
      const tensor = await file.read(info.name);
      const isHalf = tensor.dtype === 'f16' || tensor.dtype === 'bf16';
      const raw = bytesOf(isHalf ? toFloat32(tensor) : tensor.data);
      const hex = Buffer.from(raw).toString('hex');
      values[info.name] = { dtype: tensor.dtype, shape: tensor.shape, hex };
    }
    expected[name] = values;
  }
  const lines = Object.entries(expected).map(
    ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`,
  );
  goldens.set('expected.json', new TextEncoder().encode(`{${lines.join(',\n')}}\n`));
  return goldens;
}
