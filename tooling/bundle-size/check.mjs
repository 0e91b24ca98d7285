// Prints the size of every entry of limits.json, as the lines of the READMEs' tables, and fails on what is over its limit.
// `node tooling/bundle-size/check.mjs`; with `--built`, of what `npm run build` made instead of the sources.
import { readFileSync } from 'node:fs';
import { brokenLimits, bundleSize, readmeLine } from './bundle.mjs';

const entries = JSON.parse(readFileSync(new URL('./limits.json', import.meta.url), 'utf8'));
const options = { built: process.argv.includes('--built') };
const problems = [];
let last;
for (const entry of entries) {
  const size = await bundleSize(entry, options);
  if (entry.package !== last) console.log(`\n${entry.package}`);
  last = entry.package;
  console.log(readmeLine(entry, size));
  problems.push(...brokenLimits(entry, size));
}
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
