// The program of a worker, as text: a file of its own would have to be found by every bundler, and a function turned to
// text is spoilt by tools that rewrite functions. It is the counterpart of `Pool.run`; control.ts explains the protocol.
import { ARGUMENTS_AT, CONTROL_BYTES, FAILURE_AT, MAX_ARGUMENTS, SLOT, SPINS } from './control';

/**
 * Plain JavaScript for Node's worker threads and for Web Workers. A function, so that a bundle without workers can leave it
 * out: bundlers do not drop a text that is put together.
 */
export const workerSource = (): string => `'use strict';
const start = ({ module, memory, kernels, scratch }) => {
  // V8 tells other threads when a shared memory grows. One that is just taking it over is not on the list yet, and would go on
  // with the old length, which memory.fill and memory.copy are held to. Growing by nothing looks again.
  memory.grow(0);
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  exports.setScratch(scratch);
  const control = new Int32Array(memory.buffer, 0, ${ARGUMENTS_AT / 4});
  const args = new Float64Array(memory.buffer, ${ARGUMENTS_AT}, ${MAX_ARGUMENTS});
  let seen = Atomics.load(control, ${SLOT.job});
  Atomics.add(control, ${SLOT.ready}, 1);
  Atomics.notify(control, ${SLOT.ready});
  for (;;) {
    for (let i = 0; i < ${SPINS} && Atomics.load(control, ${SLOT.job}) === seen; i++);
    if (Atomics.load(control, ${SLOT.job}) === seen) {
      Atomics.add(control, ${SLOT.asleep}, 1);
      Atomics.wait(control, ${SLOT.job}, seen);
      Atomics.sub(control, ${SLOT.asleep}, 1);
    }
    if (Atomics.load(control, ${SLOT.stop}) === 1) return;
    seen = Atomics.load(control, ${SLOT.job});
    Atomics.add(control, ${SLOT.inside}, 1);
    if (Atomics.load(control, ${SLOT.open}) === 1) {
      try {
        const kernel = exports[kernels[control[${SLOT.kernel}]]];
        const given = Array.from(args.subarray(0, control[${SLOT.count}]));
        const units = control[${SLOT.units}];
        const grain = control[${SLOT.grain}];
        for (;;) {
          const begin = Atomics.add(control, ${SLOT.next}, 1) * grain;
          if (begin >= units) break;
          kernel(...given, begin, Math.min(begin + grain, units));
        }
      } catch (error) {
        const text = new Uint8Array(memory.buffer, ${FAILURE_AT}, ${CONTROL_BYTES - FAILURE_AT}).fill(0);
        const message = String(error) + ', memory of ' + memory.buffer.byteLength + ' bytes';
        for (let i = 0; i < Math.min(message.length, text.length - 1); i++) text[i] = message.charCodeAt(i);
        Atomics.store(control, ${SLOT.failed}, 1);
      }
    }
    if (Atomics.sub(control, ${SLOT.inside}, 1) === 1) Atomics.notify(control, ${SLOT.inside});
  }
};
if (typeof require === 'function') start(require('node:worker_threads').workerData);
else self.onmessage = ({ data }) => start(data);
`;
