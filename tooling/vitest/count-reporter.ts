// Counts a run's tests into the file that QLORA_TEST_COUNTS names. `npm test` makes its last line of it, after
// everything that vitest itself has to say.
import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const path = process.env.QLORA_TEST_COUNTS;
    if (path === undefined) return;
    const count = { passed: 0, failed: 0, skipped: 0 };
    for (const module of modules) {
      // A file that could not even be loaded has no tests, and is a failure all the same.
      if (module.errors().length > 0) count.failed++;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        // A test that never ended (the run was cut short) has not passed.
        count[state === 'pending' ? 'failed' : state]++;
      }
    }
    writeFileSync(path, JSON.stringify(count));
  }
}
