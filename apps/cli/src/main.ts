#!/usr/bin/env node
// The `qlora` command.
import { removeUnfinished } from '@qlora/tensor/node';
import { run } from './run';

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The reader of a pipe has gone (`qlora inspect … | head`).
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

// Verbs that can stop in order listen too, and have their turn; a second signal, or one to the others, ends it here.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.on(signal, () => {
    if (process.listenerCount(signal) > 1) return;
    removeUnfinished();
    process.exit(code);
  });
}

process.exitCode = await run(process.argv.slice(2));
