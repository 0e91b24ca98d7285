// Cross entropy of hidden states under an output embedding, a few rows at a time. With 49 152 tokens the logits of 2 048
// rows would take 400 MB, and their gradient as much again; here a chunk of about 16 MB is made, turned into losses and
// into gradients of what it came from, and gone. So the gradients are computed on the way forward, for a factor of 1, and
// scaled when the backward says by what. Rows that are not learnt from get no logits at all.
import { type Buffer, IGNORE_INDEX } from '@qlora/backend';
import { QloraError } from '@qlora/tensor';
import { type Loss, once } from './cross-entropy';
import { embedding } from './rows';
import type { Tape } from './tape';
import type { Variable } from './variable';

/** Bytes of logits that are there at once, by default. */
const CHUNK_BYTES = 16 * 1024 * 1024;

/** Options of {@link linearCrossEntropy}. */
export interface LinearCrossEntropyOptions {
  /** Rows of logits that are there at once. Default: as many as take about 16 MB. */
  readonly chunkRows?: number;
}

/**
 * The cross entropy of logits = hidden · weightᵀ, which are never there as a whole: {@link crossEntropy} after
 * {@link linear}, with less memory. Its `losses` are those of the rows that count, in their order.
 *
 * @param hidden [M, D].
 * @param weight output embedding [V, D].
 * @param targets M ids; IGNORE_INDEX leaves a row out. On the host, since they say which rows are computed.
 * @throws QloraError for targets that are not as many as the rows, or lie outside the vocabulary.
 */
export function linearCrossEntropy(
  tape: Tape,
  hidden: Variable,
  weight: Variable,
  targets: Int32Array,
  options: LinearCrossEntropyOptions = {},
): Loss {
  const { backend } = tape;
  const [vocabulary = 0] = weight.value.shape;
  const { chunkRows = Math.max(1, Math.floor(CHUNK_BYTES / (4 * vocabulary))) } = options;
  checkArguments(hidden, targets, chunkRows);
  const counted = targets
    .map((target, row) => (target === IGNORE_INDEX ? -1 : row))
    .filter((row) => row >= 0);
  const rows = counted.length;
  const losses = backend.zeros([rows]);
  const x = rows === targets.length ? hidden : embedding(tape, hidden, backend.upload(counted, [rows]));
  const ids = backend.upload(
    counted.map((row) => targets[row] ?? IGNORE_INDEX),
    [rows],
  );
  const gradientOf = (variable: Variable): Buffer | undefined =>
    rows > 0 && tape.recording && variable.requiresGrad ? backend.zeros(variable.value.shape) : undefined;
  const dX = gradientOf(x);
  const dWeight = gradientOf(weight);
  for (let start = 0; start < rows; start += chunkRows) {
    const count = Math.min(chunkRows, rows - start);
    backend.tidy(() => {
      const slice = (buffer: Buffer) => backend.slice(buffer, start, count);
      const part = slice(x.value);
      const partIds = slice(ids);
      const logits = backend.matmul(part, weight.value, { transposeB: true });
      const chunk = backend.crossEntropy(logits, partIds);
      backend.addInto(slice(losses), chunk.losses);
      if (!dX && !dWeight) return;
      backend.crossEntropyBackwardInto(logits, partIds, chunk.logSumExp, 1);
      if (dX) backend.matmulInto(slice(dX), logits, weight.value);
      if (dWeight) backend.matmulInto(dWeight, logits, part, { transposeA: true });
    });
  }
  return {
    losses,
    backward: once((scale) => {
      tape.requireRecording();
      if (dWeight) tape.accumulate(weight, dWeight, scale);
      if (!dX) return;
      const scaled = backend.scale(dX, scale);
      backend.free(dX);
      tape.backward(x, scaled, { owned: true });
    }),
  };
}

function checkArguments(hidden: Variable, targets: Int32Array, chunkRows: number): void {
  const where = 'linearCrossEntropy';
  const [rows] = hidden.value.shape;
  if (targets.length !== rows)
    throw new QloraError({
      what: `there are ${targets.length} targets for ${rows} rows`,
      where,
      fix: 'give one a row, IGNORE_INDEX where nothing is to be learnt',
    });
  if (!Number.isInteger(chunkRows) || chunkRows < 1)
    throw new QloraError({ what: `chunkRows is ${chunkRows}`, where, fix: 'use a whole number from 1 on' });
}
