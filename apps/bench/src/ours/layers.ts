// Products with a 4-bit weight, and a layer with its adapter. What is read back is read in full: that is how a program
// gets a result, and how the peers in JavaScript give theirs.
import { prepareGradients, Tape } from '@qlora/autograd';
import { QuantizedLinear } from '@qlora/qlora-layer';
import { quantizeTensor } from '@qlora/quant-strategies';
import { random, tensor } from '@qlora/tensor';
import { checkOf, type PreparedJob, readFloats } from '../../peers/serve.mjs';
import type { Job } from '../job';
import { readyBackend } from './backend';

type MatmulJob = Extract<Job, { kind: 'matmul' }>;
type LayerJob = Extract<Job, { kind: 'layer' }>;

const weightOf = ({ weight = '', outFeatures, inFeatures }: MatmulJob | LayerJob) =>
  tensor('f32', [outFeatures, inFeatures], readFloats(weight, outFeatures * inFeatures));

/** y = x·Wᵀ, or dx = dy·W, from buffers on the backend to an array. */
export async function matmulJob(job: MatmulJob): Promise<PreparedJob> {
  const { rows, direction } = job;
  const backend = await readyBackend();
  const columns = direction === 'forward' ? job.inFeatures : job.outFeatures;
  const weight = backend.uploadQuantized(quantizeTensor(weightOf(job), { doubleQuant: false }));
  const x = backend.upload(readFloats(job.x ?? '', rows * columns), [rows, columns]);
  const product = () =>
    direction === 'forward' ? backend.quantizedMatmul(x, weight) : backend.quantizedMatmulBackward(x, weight);
  let last: Float32Array | undefined;
  return {
    async run() {
      last = await backend.scope(() => backend.read(product()));
    },
    check: () => last && checkOf(last),
    free() {
      backend.free(x);
      backend.free(weight);
    },
  };
}

/** y = layer(x), then the gradients of x, A and B for a given dy. */
export async function layerJob(job: LayerJob): Promise<PreparedJob> {
  const { rows, rank, inFeatures, outFeatures } = job;
  const backend = await readyBackend();
  const layer = QuantizedLinear.fromWeight(backend, 'layer', weightOf(job), { doubleQuant: true });
  const { parameters } = layer.addLora({ rank }, random(4));
  prepareGradients(backend, parameters);
  const x = backend.upload(readFloats(job.x ?? '', rows * inFeatures), [rows, inFeatures]);
  const dy = backend.upload(readFloats(job.dy ?? '', rows * outFeatures), [rows, outFeatures]);
  // Reading waits for all that was enqueued before.
  const fence = backend.zeros([1]);
  const step = (inspect?: (y: Float32Array) => void) =>
    backend.scope(async () => {
      const tape = new Tape(backend);
      const y = layer.forward(tape, { value: x, requiresGrad: true });
      if (inspect) inspect(await backend.read(y.value));
      tape.backward(y, dy);
      await backend.read(fence);
    });
  let first: Float32Array | undefined;
  await step((y) => {
    first = y;
  });
  return { run: () => step(), check: () => first && checkOf(first) };
}
