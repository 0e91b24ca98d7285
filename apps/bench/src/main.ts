// npm run bench -- …
import { CommanderError } from 'commander';
import pc from 'picocolors';
import { createProgram } from './program';

// Exits, so that drivers are ended and data is removed; by itself the signal would skip that.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));

try {
  await createProgram().parseAsync();
} catch (error) {
  // Commander has said what was wrong, or printed the help.
  if (error instanceof CommanderError) process.exitCode = error.exitCode;
  else {
    console.error(`${pc.red('error')} ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
