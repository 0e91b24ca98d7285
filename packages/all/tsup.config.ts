import { preset } from '@qlora-tooling/tsup';

export default preset({ entry: ['src/index.ts', 'src/node.ts'] });
