// Our own model's logits over windows of ids.
import { Tape } from '@qlora/autograd';
import { createBackend } from '@qlora/backend';
import { applyAdapter, loadModel } from '@qlora/models';
import { openCheckpoint } from '@qlora/models/node';
import { loadAdapter } from '@qlora/peft/node';
import type { Example } from '@qlora/trainer';
import type { LogitRows } from './distance';

/** Logits of each window, as the 4-bit or plain model computes them, an adapter beside its weights if one is named. */
export async function ourLogits(
  folder: string,
  windows: readonly Example[],
  adapter?: string,
  onWindow: (done: number) => void = () => {},
): Promise<LogitRows[]> {
  const backend = createBackend();
  const checkpoint = await openCheckpoint(folder);
  try {
    const model = await loadModel(backend, checkpoint);
    if (adapter !== undefined) applyAdapter(model, await loadAdapter(adapter));
    const all: LogitRows[] = [];
    for (const { input } of windows) {
      const values = await backend.scope(() => {
        const tape = new Tape(backend, { record: false });
        const shape = { batch: 1, sequenceLength: input.length };
        const hidden = model.hidden(tape, backend.upload(input, [input.length]), shape);
        return backend.read(model.logits(tape, hidden).value);
      });
      const vocabulary = values.length / input.length;
      all.push(Array.from(input, (_, i) => values.subarray(i * vocabulary, (i + 1) * vocabulary)));
      onWindow(all.length);
    }
    return all;
  } finally {
    await checkpoint.close();
    await backend.dispose();
  }
}
