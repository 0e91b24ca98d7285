// qlora quantize: a checkpoint with its linear layers in 4 bits, for transformers with bitsandbytes.
import { quantizeFolder } from '@qlora/convert/node';
import { quantizationConfig } from '@qlora/quant-strategies';
import { askedQuantization, type QuantizationFlags } from '../asked-quantization';
import { convertFolder, type FolderFlags } from '../convert-folder';
import { bytes, type Reporter } from '../reporter';

/** Options of {@link quantize}. */
export interface QuantizeOptions extends FolderFlags, Omit<QuantizationFlags, 'strategy'> {
  readonly skipModules?: readonly string[];
}

/** Result of {@link quantize}. */
export interface QuantizeResult {
  readonly out: string;
  /** False for a share: the folder has no name yet. */
  readonly complete: boolean;
  readonly weightBytesBefore: number;
  readonly weightBytesAfter: number;
}

/** Quantizes a model folder into another one. */
export async function quantize(
  model: string,
  options: QuantizeOptions,
  reporter: Reporter,
): Promise<QuantizeResult> {
  const { skipModules = [], out } = options;
  const { scheme, blockSize, doubleQuant } = quantizationConfig(askedQuantization(options));
  const done = await convertFolder('quantizing', [model], options, reporter, (how) =>
    quantizeFolder(model, out, { ...how, scheme, blockSize, doubleQuant, skipModules }),
  );
  const { linear, bytesBefore, bytesAfter, complete } = done;
  const result = { out, complete, weightBytesBefore: bytesBefore, weightBytesAfter: bytesAfter };
  const unknown = linear.dense.filter(({ reason }) => reason === 'unknown').map(({ name }) => name);
  if (unknown.length > 0) {
    const some = unknown.slice(0, 3).join(', ');
    reporter.warn(
      `${unknown.length} matrices stay as they are, since nothing tells whether they are linear layers: ${some}${unknown.length > 3 ? ', …' : ''}`,
    );
  }
  reporter.event('quantized', { ...result, quantized: linear.weights.length, files: done.files });
  if (complete) {
    reporter.say(`${model}: ${bytes(bytesBefore)} → ${out}: ${bytes(bytesAfter)}`);
    reporter.say(
      `${linear.weights.length} weights in ${scheme}, in ${done.files} file${done.files === 1 ? '' : 's'}`,
    );
  }
  return result;
}
