// Checks the package in the current folder as it would be published: `node ../../tooling/package-check/check.mjs`, after
// its build. It has no options; turbo runs it for every package.
import { packageProblems } from './problems.mjs';

const problems = await packageProblems(process.cwd());
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
