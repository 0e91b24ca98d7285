#!/usr/bin/env node
// The `qlora` command. An expected failure is one message and exit code 1; anything else is a bug and shows its trace.
import { QloraError } from '@qlora/tensor';
import pc from 'picocolors';
import { createProgram } from './program';

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The reader of a pipe has gone (`qlora inspect … | head`).
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

try {
  await createProgram().parseAsync();
} catch (error) {
  if (!(error instanceof QloraError)) throw error;
  if (process.argv.includes('--json')) {
    const { what, where, fix, rule } = error;
    process.stdout.write(
      `${JSON.stringify({ event: 'error', message: error.message, what, where, fix, rule })}\n`,
    );
  } else process.stderr.write(`${pc.red('error')} ${error.message}\n`);
  process.exitCode = 1;
}
