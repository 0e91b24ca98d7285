// A driver for tests: takes the seconds that its job says, and fails as its job says.
import { serve } from '../../peers/serve.mjs';

await serve({
  describe: () => ({ versions: { fake: '1.2.3' }, threads: Number(process.env.QLORA_BENCH_THREADS ?? 1) }),
  prepare({ kind }) {
    console.log('libraries print');
    if (kind === 'refuse') throw new Error('no such job');
    return {
      run() {
        if (kind === 'crash') {
          console.error('out of luck');
          process.exit(3);
        }
        return new Promise((resolve) => setTimeout(resolve, kind === 'hang' ? 60_000 : 2));
      },
      check: () => ({ rms: 1, head: [1, 2] }),
      memory: () => ({ backend: 42 }),
    };
  },
});
