// Writes data/pirate.jsonl, the demo's training data: stories of our own grammar, told by a pirate.
//
//   pnpm --filter @qlora/demo make-data
import { fileURLToPath } from 'node:url';
import { writeFileAtomic } from '@qlora/tensor/node';
import { pirateData } from './pirate-data';

await writeFileAtomic(fileURLToPath(new URL('../data/pirate.jsonl', import.meta.url)), pirateData());
