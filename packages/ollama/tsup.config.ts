import { preset } from '@qlora-tooling/tsup';

export default preset();
