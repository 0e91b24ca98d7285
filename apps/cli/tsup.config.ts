import { preset } from '@qlora-tooling/tsup';

export default preset({ entry: ['src/index.ts', 'src/main.ts'], format: ['esm'], platform: 'node' });
