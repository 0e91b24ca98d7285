// npm run bench -- [--filter TEXT] [--json FILE]: medians of several runs, after a warm-up, with their spread.
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { writeFileAtomic } from '@qlora/tensor/node';
import Table from 'cli-table3';
import { Bench } from 'tinybench';
import { allCases } from './cases';

const values = options();
if (values.help) {
  console.log(
    'npm run bench -- [--filter TEXT] [--json FILE]\n\nExample:\n  $ npm run bench -- --filter nf4 --json results.json',
  );
  process.exit(0);
}
const cases = (await allCases()).filter(({ name }) => name.includes(values.filter));
if (cases.length === 0) {
  console.error(`error no case has "${values.filter}" in its name`);
  process.exit(1);
}
const bench = new Bench({ time: 1000, warmupTime: 200 });
for (const { name, run } of cases) bench.add(name, () => run() as Promise<void>);
bench.addEventListener('cycle', ({ task }) => process.stderr.write(`measured ${task?.name}\n`));
await bench.run();

const results = bench.tasks.map((task, i) => {
  const { work = 0, unit = '' } = cases[i] ?? {};
  if (!('latency' in task.result)) throw new Error(`${task.name} failed`);
  const { latency } = task.result;
  // tinybench gives milliseconds.
  return {
    name: task.name,
    unit,
    work,
    medianMs: latency.p50,
    minMs: latency.min,
    maxMs: latency.max,
    runs: latency.samplesCount,
  };
});
const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version, backend: 'reference' };
const table = new Table({
  head: ['case', 'median', 'least … most', 'rate'],
  style: { head: [], border: [] },
});
for (const { name, unit, work, medianMs, minMs, maxMs } of results) {
  const rate = (work / medianMs) * 1000;
  const shown =
    unit === 'tokens'
      ? `${rate.toFixed(0)} tokens/s`
      : unit.startsWith('bytes')
        ? `${(rate / 1e9).toFixed(3)} GB/s`
        : `${(rate / 1e9).toFixed(2)} GFLOP/s`;
  table.push([name, `${medianMs.toFixed(2)} ms`, `${minMs.toFixed(2)} … ${maxMs.toFixed(2)}`, shown]);
}
console.log(`${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, backend ${machine.backend}`);
console.log(table.toString());
if (values.json) {
  await writeFileAtomic(values.json, `${JSON.stringify({ machine, results }, null, 1)}\n`);
  console.log(`written to ${values.json}`);
}

function options() {
  try {
    return parseArgs({
      options: {
        filter: { type: 'string', default: '' },
        json: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    console.error(`error ${(error as Error).message}`);
    process.exit(1);
  }
}
