import { preset } from '@qlora-tooling/tsup';

export default preset({ entry: ['src/index.ts', 'src/testing/index.ts'] });
