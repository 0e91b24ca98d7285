// The command line: to measure, which is what it does without a verb, to compare two runs, to see and
// install peers, to run the command on a large model, and to see what exporting costs.
import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { QloraError } from '@qlora/tensor';
import { writeFileAtomic } from '@qlora/tensor/node';
import { Command, Option } from 'commander';
import { ASKABLE, peerList, share, threadList, whole } from './arguments';
import { casesOf, SUITES, type Suite } from './cases';
import { compareResults, machineDifferences } from './compare';
import { addExportQuality } from './export-quality/verb';
import { install } from './install';
import { addLarge } from './large/verb';
import { evaluateMarks } from './marks';
import { renderPage } from './page/page';
import { type Bundle, installations, type PeerName } from './peers';
import { findPeers } from './presence';
import { terminalProgress } from './progress';
import { readResult, writeResult } from './result';
import { runBenchmark } from './run';
import { sessionPool } from './session-pool';
import { comparisonText, marksText, peersText, resultText } from './table';

interface MeasureFlags {
  readonly suite: Suite;
  readonly full?: boolean;
  readonly filter: string;
  readonly rounds?: number;
  readonly threads?: number[];
  readonly peers?: ReadonlySet<PeerName>;
  readonly json?: string;
  readonly html?: string;
  readonly list?: boolean;
}

/** Rounds of each suite: more where the numbers are to be shown. */
const ROUNDS: Readonly<Record<Suite, number>> = { quick: 5, marks: 9 };

/** The whole command. */
export function createProgram(): Command {
  const program = new Command('npm run bench --')
    .exitOverride()
    .description(
      'Measure the codec, the layer and the training step, beside the peers that are installed: in one run, in turns.',
    )
    .showHelpAfterError('(add --help for what can be said)')
    .enablePositionalOptions();
  program
    .addOption(
      new Option('--suite <name>', 'sizes: quick, or those of the marks').choices(SUITES).default('quick'),
    )
    .option('--full', 'the same as --suite marks')
    .option('--filter <text>', 'only cases with this in their name', '')
    .option('--rounds <n>', `turns that each gets (quick ${ROUNDS.quick}, marks ${ROUNDS.marks})`, whole(1))
    .option(
      '--threads <n,…>',
      'numbers of threads of those that have threads (default: 1 and all cores)',
      threadList,
    )
    .option(
      '--peers <names>',
      `none, all, or some of ${ASKABLE.join(', ')} (default: none in quick, all in marks)`,
      peerList,
    )
    .option('--json <file>', 'write what was measured')
    .option('--html <file>', 'write a page with plots')
    .option('--list', 'list the cases and measure nothing')
    .addHelpText('after', EXAMPLES)
    .action((flags: MeasureFlags) => measure(flags));

  program
    .command('compare')
    .description('say which of our times became longer from one run to another; exit code 1 if any did')
    .argument('<old>', 'JSON of a run')
    .argument('<new>', 'JSON of a later run')
    .option('--tolerance <part>', 'part of a time that may be added to it, beside the noise', share, 0.1)
    .option('--any-machine', 'compare runs of different machines too')
    .action(compare);

  program
    .command('page')
    .description('write the page of a run that was measured before')
    .argument('<json>', 'JSON of a run')
    .argument('<html>', 'file to write')
    .action(async (json: string, html: string) => {
      await writeFileAtomic(html, renderPage(await readResult(json)));
      console.log(`written to ${html}`);
    });

  program
    .command('peers')
    .description('list the peers, or install some')
    .option('--install <bundles>', `some of ${Object.keys(installations).join(', ')}, or all`)
    .action(listPeers);

  addLarge(program);
  addExportQuality(program);
  return program;
}

const EXAMPLES = `
Examples:
  $ npm run bench                                          ours alone, small sizes, about a minute
  $ npm run bench -- --filter layer --threads 1            one group of cases
  $ npm run bench -- peers --install js                    npm peers (js, python, rust or all)
  $ npm run bench -- --full --json new.json --html new.html
  $ npm run bench -- compare old.json new.json --tolerance 0.1
  $ npm run bench -- large --json large.json               the qlora command on a model of 20 GB
  $ npm run bench -- export-quality --json quality.json     what each way of exporting to llama.cpp loses`;

async function measure(flags: MeasureFlags): Promise<void> {
  const suite = flags.full ? 'marks' : flags.suite;
  const cases = casesOf(suite, flags.filter);
  if (cases.length === 0)
    throw new QloraError({
      what: `no case of ${suite} has "${flags.filter}" in its name`,
      fix: 'see --list for what there is',
    });
  if (flags.list) {
    for (const { id, title } of cases) console.log(`${id}  ${title}`);
    return;
  }
  const options = {
    suite,
    filter: flags.filter,
    rounds: flags.rounds ?? ROUNDS[suite],
    threads: flags.threads ?? [...new Set([1, availableParallelism()])],
    peers: flags.peers ?? peerList(suite === 'marks' ? 'all' : 'none'),
  };
  const files = [flags.json, flags.html].filter((path) => path !== undefined);
  // Before the measurement: it is long, and what it gave must not be lost.
  for (const path of files) await mkdir(dirname(path), { recursive: true });
  const result = await runBenchmark(options, terminalProgress());
  console.log(resultText(result));
  console.log(marksText(evaluateMarks(result)));
  if (flags.json) await writeResult(flags.json, result);
  if (flags.html) await writeFileAtomic(flags.html, renderPage(result));
  for (const path of files) console.log(`written to ${path}`);
}

async function compare(
  oldPath: string,
  newPath: string,
  { tolerance, anyMachine = false }: { tolerance: number; anyMachine?: boolean },
): Promise<void> {
  const [before, after] = [await readResult(oldPath), await readResult(newPath)];
  const differences = machineDifferences(before.machine, after.machine);
  if (differences.length > 0 && !anyMachine)
    throw new QloraError({
      what: `the runs are of different machines (${differences.join('; ')})`,
      where: [oldPath, newPath],
      fix: 'measure both on one machine, or say --any-machine',
    });
  const comparison = compareResults(before, after, tolerance);
  if (comparison.changes.length === 0)
    throw new QloraError({
      what: 'the runs have no case of ours in common',
      where: [oldPath, newPath],
      fix: 'compare runs of one suite',
    });
  console.log(comparisonText(comparison));
  const slower = comparison.changes.filter(({ verdict }) => verdict === 'slower');
  if (slower.length > 0) {
    const names = slower.map(({ caseId, contender }) => `${caseId} of ${contender}`);
    console.error(`slower: ${names.join(', ')}`);
    process.exitCode = 1;
  } else console.log('nothing became slower');
}

async function listPeers({ install: wanted }: { install?: string }): Promise<void> {
  if (wanted !== undefined) {
    const known = Object.keys(installations);
    const names = wanted === 'all' ? known : wanted.split(',').map((name) => name.trim());
    const unknown = names.filter((name) => !known.includes(name));
    if (unknown.length > 0)
      throw new QloraError({
        what: `there is nothing named ${unknown.join(', ')} to install`,
        fix: `use ${known.join(', ')} or all`,
      });
    for (const name of names) install(name as Bundle);
  }
  const pool = sessionPool();
  try {
    console.log(peersText({ peers: await findPeers(pool, peerList('all')) }));
  } finally {
    await pool.stopAll();
  }
}
