// Every block type held to ggml's own library: the first values of fifteen distributions, with and without importance.
import { testGoldens } from './testing/golden';

testGoldens('short');
