// llama.cpp itself, through the CPU build inside node-llama-cpp: what tests and conformance hold our GGUF files to.
//
// One thread: with more threads than free cores llama.cpp's spin-waits take minutes instead of a second.
import type { Llama, Token } from 'node-llama-cpp';

/** A GGUF file loaded by llama.cpp. */
export interface LlamaCppModel {
  /** Ids of a text, without special tokens put around it; `special` finds such tokens written in the text. */
  tokenize(text: string, options?: { special?: boolean }): number[];
  /** Text of ids. */
  detokenize(ids: readonly number[]): string;
  /** Logits after each of `ids`, [ids.length][vocabulary]. */
  logits(ids: readonly number[]): Promise<Float32Array[]>;
  /** The ids that follow, the likeliest each time. */
  greedy(ids: readonly number[], count: number): Promise<number[]>;
  /** Mean negative log likelihood, in nats, of ids 1 … n − 1, each after those before it. */
  crossEntropy(ids: readonly number[]): Promise<number>;
  dispose(): Promise<void>;
}

/** A LoRA adapter in GGUF, and what llama.cpp multiplies it by; default 1. */
export interface LoraFile {
  readonly path: string;
  readonly scale?: number;
}

let llama: Promise<Llama | undefined> | undefined;

/** llama.cpp, or undefined where no binary for this platform was installed. Nothing is downloaded or built. */
function engine(): Promise<Llama | undefined> {
  llama ??= import('node-llama-cpp').then(async ({ getLlama, LlamaLogLevel, NoBinaryFoundError }) => {
    try {
      return await getLlama({
        gpu: false,
        build: 'never',
        skipDownload: true,
        logLevel: LlamaLogLevel.error,
        maxThreads: 1,
      });
    } catch (error) {
      // Only a missing binary is a reason to skip; one that is there and fails must be seen.
      if (error instanceof NoBinaryFoundError) return undefined;
      throw error;
    }
  });
  return llama;
}

/** Whether llama.cpp can run here. */
export async function hasLlamaCpp(): Promise<boolean> {
  return (await engine()) !== undefined;
}

/**
 * Loads a GGUF file, and LoRA adapters in GGUF if any.
 * @param options.cache type of the keys and values that it keeps; its own default is f16.
 * @throws llama.cpp's own error if it refuses the file.
 */
export async function loadGguf(
  path: string,
  options: { contextSize?: number; cache?: 'f16' | 'f32'; lora?: string | readonly LoraFile[] } = {},
): Promise<LlamaCppModel> {
  const runtime = await engine();
  if (!runtime) throw new Error('node-llama-cpp has no binary for this platform');
  const files = typeof options.lora === 'string' ? [{ path: options.lora }] : (options.lora ?? []);
  const adapters = files.map(({ path: filePath, scale = 1 }: LoraFile) => ({ filePath, scale }));
  const model = await runtime.loadModel({ modelPath: path, gpuLayers: 0, useMmap: false });
  const context = await model.createContext({
    contextSize: options.contextSize ?? 512,
    threads: 1,
    ...(options.cache === 'f32'
      ? // Flash attention makes f16 of them again.
        { experimentalKvCacheKeyType: 'F32', experimentalKvCacheValueType: 'F32', flashAttention: false }
      : {}),
    ...(adapters.length > 0 ? { lora: { adapters } } : {}),
  });
  const sequence = context.getSequence();

  const logits = async (ids: readonly number[]): Promise<Float32Array[]> => {
    await sequence.clearHistory();
    const items = ids.map(
      (id) =>
        [id as Token, { generateNext: { logits: true } }] as [Token, { generateNext: { logits: true } }],
    );
    const outputs = await sequence.controlledEvaluate(items);
    return outputs.map((output, position) => {
      const map = output?.next.logits;
      if (!map) throw new Error(`llama.cpp gave no logits at position ${position}`);
      const row = new Float32Array(map.size);
      for (const [token, logit] of map) row[token] = logit;
      return row;
    });
  };

  return {
    tokenize: (text, options) => [...model.tokenize(text, options?.special ?? false)],
    detokenize: (ids) => model.detokenize(ids.map((id) => id as Token)),
    logits,
    async greedy(ids, count) {
      await sequence.clearHistory();
      const result: number[] = [];
      for await (const token of sequence.evaluate(
        ids.map((id) => id as Token),
        { temperature: 0, yieldEogToken: true },
      )) {
        result.push(token);
        if (result.length === count) break;
      }
      return result;
    },
    async crossEntropy(ids) {
      const rows = await logits(ids);
      let total = 0;
      for (let i = 1; i < ids.length; i++) {
        const row = rows[i - 1];
        const id = ids[i];
        if (!row || id === undefined) continue;
        const max = row.reduce((a, b) => Math.max(a, b));
        let sum = 0;
        for (const logit of row) sum += Math.exp(logit - max);
        total += max + Math.log(sum) - (row[id] ?? 0);
      }
      return total / (ids.length - 1);
    },
    async dispose() {
      await context.dispose();
      await model.dispose();
    },
  };
}
