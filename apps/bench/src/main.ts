// npm run bench -- …
import { CommanderError } from 'commander';
import pc from 'picocolors';
import { createProgram } from './program';

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
